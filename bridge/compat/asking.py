"""What clients of every service ask in, and how each is answered: credentials, query values, faults."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from multidict import MultiMapping

from bridge.errors import (
    BridgeError,
    InvalidRequestError,
    NotFoundError,
    RequestError,
    TooLargeError,
    UnauthorisedError,
)
from bridge.web.auth import Principal, Scope
from bridge.web.context import CONTEXT, Context
from bridge.web.observe import path_of
from bridge.web.problems import HTTP_CODES
from bridge.web.uploads import language_of

log = structlog.get_logger(__name__)

SCHEMES: Final = frozenset({"bearer", "token"})
TRUE: Final = frozenset({"true", "1", "yes", "on"})
FALSE: Final = frozenset({"false", "0", "no", "off", ""})

NEEDED: Final = (Scope.MEDIA, Scope.CALLS_READ)
"""Whoever sends audio to be answered with words both sends and reads."""

Shape = Callable[[web.Request, BridgeError], web.Response]
"""A fault as the service would answer it."""


async def admit(
    request: web.Request,
    *,
    subprotocols: Iterable[str] = (),
    scopes: Iterable[Scope] = NEEDED,
    bare: Callable[[str], str] = str,
) -> Principal:
    """Who asks, however the service's clients say it: `Authorization` with or without a scheme, or a browser's
    `Sec-WebSocket-Protocol: SCHEME, CREDENTIAL` with one of the schemes in `subprotocols`; else `?token=`.

    `bare` takes off what a service writes around a credential. Raises UnauthorisedError, ForbiddenError.
    """
    auth = request.app[CONTEXT].auth
    credential = bare(credential_of(request, subprotocols))
    if credential:
        principal = await auth.principal(request, authorization=f"Bearer {credential}")
    else:
        principal = await auth.principal(request, authorization="")
    for scope in scopes:
        principal.need(scope)
    return principal


async def admit_token(request: web.Request, token: str, *, scopes: Iterable[Scope] = NEEDED) -> Principal:
    """Who asks with a token that stands in the address: a key does not, as addresses get logged.

    Raises UnauthorisedError, ForbiddenError.
    """
    principal = await request.app[CONTEXT].auth.identify(token, from_url=True)
    if principal is None:
        raise UnauthorisedError("the token is not valid, or no longer")
    for scope in scopes:
        principal.need(scope)
    return principal


def credential_of(request: web.Request, subprotocols: Iterable[str] = ()) -> str:
    """As it was sent, the scheme apart; empty where none was. Raises UnauthorisedError for an unknown scheme."""
    return _in_header(request.headers.get(hdrs.AUTHORIZATION, "")) or _offered(request, subprotocols)


def _in_header(value: str) -> str:
    scheme, _, rest = value.strip().partition(" ")
    if not rest:
        return scheme if scheme.lower() not in SCHEMES else ""
    if scheme.lower() not in SCHEMES:
        raise UnauthorisedError("Authorization has a scheme that is not known here")
    return rest.strip()


def _offered(request: web.Request, schemes: Iterable[str]) -> str:
    offered = [part.strip() for part in request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, "").split(",")]
    return offered[1] if len(offered) > 1 and offered[0] in set(schemes) else ""


def is_upgrade(request: web.Request) -> bool:
    return request.headers.get(hdrs.UPGRADE, "").lower() == "websocket"


def shaped(shape: Shape, handler: Callable[[web.Request, Context], Awaitable[web.StreamResponse]]) -> Handler:
    """A route's handler whose faults are answered in the service's own shape."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request, request.app[CONTEXT])
        except BridgeError as error:
            return shape(request, error)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            return shape(request, _as_fault(error))
        except (ConnectionResetError, asyncio.CancelledError):
            raise
        except Exception:
            log.exception("request failed", path=path_of(request))
            return shape(request, BridgeError("something went wrong on our side"))

    return handle


def retry_after(error: BridgeError) -> dict[str, str]:
    """The header that says when to come back, where that is known."""
    wait = error.details.get("retry_after")
    return {} if wait is None else {hdrs.RETRY_AFTER: str(max(1, round(wait)))}


def _as_fault(error: web.HTTPException) -> BridgeError:
    kind = {404: NotFoundError, 413: TooLargeError}.get(error.status, RequestError)
    return kind(HTTP_CODES.get(error.status, ("", error.reason or "the request was refused"))[1])


# -- query values --------------------------------------------------------------------------------------------------


def flag(query: MultiMapping[str], name: str, *, default: bool = False) -> bool:
    """`true`, `True`, `1`, `yes`, `on` and their opposites. Raises InvalidRequestError for anything else."""
    given = query.get(name)
    if given is None:
        return default
    if given.lower() not in TRUE | FALSE:
        raise InvalidRequestError(f"{name} must be true or false", fields={name: "must be true or false"})
    return given.lower() in TRUE


def whole(query: MultiMapping[str], name: str, default: int, *, least: int, most: int) -> int:
    """A number in its bounds. Raises InvalidRequestError for anything else."""
    given = query.get(name)
    if given is None or not given.strip():
        return default
    try:
        number = int(float(given))
    except (ValueError, OverflowError):
        number = least - 1
    if not least <= number <= most:
        why = f"must be a whole number from {least} to {most}"
        raise InvalidRequestError(f"{name} {why}", fields={name: why})
    return number


def listed(query: MultiMapping[str], *names: str, commas: bool = False) -> list[str]:
    """All values of parameters that may be repeated, split at commas where the service does so."""
    given = [value for name in names for value in query.getall(name, [])]
    parts = [part for value in given for part in (value.split(",") if commas else [value])]
    return [part.strip() for part in parts if part.strip()]


def number(query: MultiMapping[str], name: str, *, least: float, most: float) -> float | None:
    """None where it is not given. Raises InvalidRequestError for one out of bounds."""
    given = query.get(name)
    if given is None or not given.strip():
        return None
    try:
        found = float(given)
    except ValueError:
        found = math.nan
    if not least <= found <= most:
        why = f"must be a number from {least:g} to {most:g}"
        raise InvalidRequestError(f"{name} {why}", fields={name: why})
    return found


def language(query: MultiMapping[str], model: str, *, default: str = "en") -> str | None:
    """Whisper's code; None where it is to be found out: `auto`, `multi`, `multi-eu` and the like.

    Raises InvalidRequestError for one that the model lacks.
    """
    told = query.get("language") or default
    return None if told.lower().partition("-")[0] == "multi" else language_of(told, model)
