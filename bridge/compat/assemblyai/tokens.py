"""`GET /v3/token`: a token with which a browser opens a session."""

from __future__ import annotations

from aiohttp import web

from bridge.compat.asking import admit, whole
from bridge.errors import InvalidRequestError
from bridge.web.auth import Scope
from bridge.web.context import Context

LONGEST_S = 600


async def token(request: web.Request, context: Context) -> web.StreamResponse:
    principal = await admit(request, scopes=(Scope.TOKENS,))
    lifetime_s = whole(request.query, "expires_in_seconds", 0, least=0, most=LONGEST_S)
    if not lifetime_s:
        raise InvalidRequestError(f"expires_in_seconds must be from 1 to {LONGEST_S}")
    issued = context.auth.signer.issue(
        tenant=principal.tenant,
        identity=principal.identity,
        scopes=(Scope.MEDIA, Scope.CALLS_READ),
        lifetime_s=lifetime_s,
    )
    told = {"token": issued.token, "expires_in_seconds": lifetime_s}
    return web.json_response(told, headers={"Cache-Control": "no-store"})
