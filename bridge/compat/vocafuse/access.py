"""Who asks: an API key with its secret, or a token that was made with them; and the tokens themselves."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import hdrs, web

from bridge.compat.vocafuse.faults import BadFormatError, MissingFieldError, TokenLapsedError
from bridge.errors import InvalidRequestError, UnauthorisedError
from bridge.model.foreign import object_from_json
from bridge.web.auth import TOKEN_SCOPES, Principal, Scope
from bridge.web.context import Context
from bridge.web.keys import DEFAULT_LIFETIME_S, MAX_LIFETIME_S
from bridge.web.limits import LIMITS

KEY_HEADER: Final = "X-VocaFuse-API-Key"
SECRET_HEADER: Final = "X-VocaFuse-API-Secret"  # noqa: S105 - a header's name

LEAST_LIFETIME_S: Final = 60
LONGEST_IDENTITY: Final = 200

GRANTED: Final = ("voice-api.upload_recording", "voice-api.read_recording")
"""What every token of theirs may do, whatever scopes were asked for."""


async def admit(request: web.Request, context: Context, *scopes: Scope) -> Principal:
    """Whoever asks, with any one of `scopes`. Each request counts against its credential's limit.

    Raises UnauthorisedError, ForbiddenError, TooManyRequestsError.
    """
    principal = await _principal(request, context)
    request.app[LIMITS].count_request(request, principal)
    if principal.scopes.isdisjoint(scopes):
        principal.need(scopes[0])
    return principal


async def _principal(request: web.Request, context: Context) -> Principal:
    """`X-VocaFuse-API-Key` is the id of an API key, or the key itself; `…-Secret` is the key."""
    if KEY_HEADER not in request.headers:
        return await _bearer(request, context)
    named, secret = request.headers[KEY_HEADER].strip(), request.headers.get(SECRET_HEADER, "").strip()
    try:
        principal = await context.auth.principal(request, authorization=f"Bearer {secret or '-'}")
    except UnauthorisedError:
        raise UnauthorisedError("Invalid API key or secret") from None
    if context.settings.auth != "off" and not (_same(named, principal.identity) or _same(named, secret)):
        raise UnauthorisedError("Invalid API key or secret")
    return principal


async def _bearer(request: web.Request, context: Context) -> Principal:
    """A token in the URL is not taken: all of VocaFuse's clients send headers."""
    header = request.headers.get(hdrs.AUTHORIZATION, "")
    try:
        return await context.auth.principal(request, authorization=header or "Bearer -")
    except UnauthorisedError:
        if context.auth.signer.has_lapsed(header.rpartition(" ")[2]):
            raise TokenLapsedError("Token has expired") from None
        raise UnauthorisedError("Invalid or missing token") from None


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


async def read_json(request: web.Request) -> Mapping[str, Any]:
    """The body's object, whatever its type is said to be: some clients say none. Raises BadFormatError."""
    try:
        return object_from_json(await request.read() or b"{}")
    except ValueError:
        raise BadFormatError("The request body is not a JSON object") from None


def invalid(field: str, reason: str) -> InvalidRequestError:
    return InvalidRequestError(f"{field} {reason}", fields={field: reason})


async def make_token(request: web.Request, context: Context) -> web.StreamResponse:
    """`POST /token`: for one user of the tenant's app. Its answer has a place for each reader that there is."""
    principal = await admit(request, context, Scope.TOKENS)
    request.app[LIMITS].count_token(principal.tenant)
    body = await read_json(request)
    identity = body.get("user_id", body.get("identity"))
    if identity is None or identity == "":
        raise MissingFieldError("user_id")
    if not isinstance(identity, str) or len(identity) > LONGEST_IDENTITY or not identity.isprintable():
        raise invalid("user_id", f"must be a string of at most {LONGEST_IDENTITY} characters that can be printed")
    lifetime_s = body.get("expires_in", DEFAULT_LIFETIME_S)
    if type(lifetime_s) is not int or not LEAST_LIFETIME_S <= lifetime_s <= MAX_LIFETIME_S:
        raise invalid("expires_in", f"must be a whole number from {LEAST_LIFETIME_S} to {MAX_LIFETIME_S}")
    scopes = _scopes(body.get("scopes"))
    made = context.auth.signer.issue(
        tenant=principal.tenant, identity=identity, scopes=scopes, lifetime_s=lifetime_s
    ).token
    told = {"token": made, "token_type": "Bearer", "expires_in": lifetime_s}
    data = {
        **told,
        "jwt_token": made,
        "id_token": made,
        "tenant_id": principal.tenant,
        "identity": identity,
        "scopes": [*GRANTED, *sorted(scopes - {Scope.UPLOAD})],
    }
    answer = {"success": True, "message": "Token generated", **told, "data": data}
    return web.json_response(answer, headers={hdrs.CACHE_CONTROL: "no-store"})


def _scopes(wanted: Any) -> set[Scope]:
    """Names of VocaFuse's are passed over, as there; ours are given where a token may have them."""
    named = wanted if isinstance(wanted, list) else []
    return {Scope.UPLOAD, *(scope for scope in TOKEN_SCOPES if scope.value in named)}
