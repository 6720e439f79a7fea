"""What a client asks before it begins: which languages there are, and a token that opens streams for a while."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from bridge.compat.asking import admit, number
from bridge.compat.neuralspace.faults import answer
from bridge.errors import InvalidRequestError
from bridge.model.languages import languages_of
from bridge.web.auth import Scope
from bridge.web.context import Context

USUAL_S: Final = 120
LONGEST_S: Final = 86_400


async def languages(request: web.Request, context: Context) -> web.StreamResponse:
    await admit(request, scopes=())
    if request.query.get("type", "stream") not in {"stream", "file"}:
        raise InvalidRequestError("type must be stream or file")
    return answer({"languages": sorted(languages_of(context.settings.model))}, "Languages fetched")


async def token(request: web.Request, context: Context) -> web.StreamResponse:
    """`duration` may be a fraction, and is made to fit."""
    principal = await admit(request, scopes=(Scope.TOKENS,))
    asked_s = number(request.query, "duration", least=0, most=float("inf"))
    issued = context.auth.signer.issue(
        tenant=principal.tenant,
        identity=principal.identity,
        scopes=(Scope.MEDIA, Scope.CALLS_READ),
        lifetime_s=int(min(max(1, USUAL_S if asked_s is None else asked_s), LONGEST_S)),
    )
    return answer({"token": issued.token}, "Token created")
