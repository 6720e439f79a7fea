"""Client secrets: a token that opens one kind of session for a while, with what the session is to be beside it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from bridge.compat.asking import admit
from bridge.compat.openai.session import Session
from bridge.errors import InvalidRequestError
from bridge.model.foreign import from_json, object_from_json
from bridge.web.auth import Scope
from bridge.web.context import Context
from bridge.web.observe import REQUEST_ID

IN_SUBPROTOCOL: Final = "openai-insecure-api-key."
SHORTEST_S: Final = 10
LONGEST_S: Final = 7200
USUAL_S: Final = 600
LEGACY_S: Final = 60
MOST_SETTINGS: Final = 2048
"""Characters, packed."""


def bare_key(credential: str) -> str:
    """A credential without what is written around it: a browser's prefix, a session's settings."""
    return ".".join(credential.removeprefix(IN_SUBPROTOCOL).split(".")[:3])


def session_in(credential: str) -> Session | None:
    """What the session was to be when the secret was made; None where nothing was said.

    It is not signed: whoever may open a session may choose what it is.
    """
    packed = credential.removeprefix(IN_SUBPROTOCOL).split(".")[3:]
    if not packed:
        return None
    try:
        given = from_json(base64.urlsafe_b64decode(packed[0] + "=" * (-len(packed[0]) % 4)))
        return Session().updated(given)
    except (ValueError, InvalidRequestError):
        return None


async def client_secret(request: web.Request, context: Context) -> web.StreamResponse:
    """`POST /v1/realtime/client_secrets`."""
    body = await _body(request)
    after = body.get("expires_after") or {}
    lifetime_s = after.get("seconds", USUAL_S) if isinstance(after, Mapping) else None
    if not isinstance(lifetime_s, int) or not SHORTEST_S <= lifetime_s <= LONGEST_S:
        why = f"must be a whole number from {SHORTEST_S} to {LONGEST_S}"
        raise InvalidRequestError(f"expires_after.seconds {why}", fields={"expires_after.seconds": why})
    asked = body.get("session") or {"type": "transcription"}
    if not isinstance(asked, Mapping) or asked.get("type") != "transcription":
        raise InvalidRequestError("session.type must be transcription", fields={"session.type": "transcription"})
    session = Session().updated(asked)
    session.parameters(context.settings.model)
    value, expires_at = await _issue(request, context, lifetime_s, asked)
    shown = {**session.shown(), "object": "realtime.transcription_session", "id": _id(request)}
    told = {"value": value, "expires_at": expires_at, "session": {**shown, "expires_at": expires_at}}
    return web.json_response(told, headers={"Cache-Control": "no-store"})


async def transcription_session(request: web.Request, context: Context) -> web.StreamResponse:
    """`POST /v1/realtime/transcription_sessions`, the older form."""
    session = Session().updated_flat(await _body(request))
    session.parameters(context.settings.model)
    value, expires_at = await _issue(request, context, LEGACY_S, session.shown())
    told = {
        "id": _id(request),
        "object": "realtime.transcription_session",
        "client_secret": {"value": value, "expires_at": expires_at},
        "modalities": ["text"],
        **session.shown_flat(),
    }
    return web.json_response(told, headers={"Cache-Control": "no-store"})


async def _issue(
    request: web.Request, context: Context, lifetime_s: int, settings: Mapping[str, Any]
) -> tuple[str, int]:
    principal = await admit(request, scopes=(Scope.TOKENS,))
    token = context.auth.signer.issue(
        tenant=principal.tenant,
        identity=principal.identity,
        scopes=(Scope.MEDIA, Scope.CALLS_READ),
        lifetime_s=lifetime_s,
    )
    packed = base64.urlsafe_b64encode(json.dumps(settings, separators=(",", ":")).encode()).decode().rstrip("=")
    if len(packed) > MOST_SETTINGS:
        raise InvalidRequestError("the session is described at too great a length", fields={"session": "too long"})
    return f"{token.token}.{packed}", int(token.expires_at)


async def _body(request: web.Request) -> Mapping[str, Any]:
    try:
        return object_from_json(await request.read() or b"{}")
    except ValueError:
        raise InvalidRequestError("the body is not a JSON object") from None


def _id(request: web.Request) -> str:
    return f"sess_{request.get(REQUEST_ID, '')}"
