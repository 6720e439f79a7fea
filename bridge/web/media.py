"""Media in: a carrier's WebSocket, whatever its dialect, pumped through the dialect's conversation into a call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Final

import structlog
from aiohttp import web

from bridge.dialects import DIALECTS, Dialect, Frames, Proof
from bridge.errors import BridgeError, CapacityError, CarrierAuthError, RequestError
from bridge.ingest.conversation import Handshake
from bridge.ingest.signatures import OneUse
from bridge.metrics import CALLS_REFUSED, MEDIA_ERRORS
from bridge.model.stream import StreamStarted
from bridge.settings import Settings
from bridge.web.address import public_base
from bridge.web.auth import DEFAULT_TENANT, Principal, Scope
from bridge.web.authorization import as_bearer, key_beside
from bridge.web.context import CONTEXT, Context
from bridge.web.media_socket import MediaSocket
from bridge.web.replays import Replays

log = structlog.get_logger(__name__)

MAX_MESSAGE: Final = 256 * 1024
"""Bytes. 64 KiB of audio in base64, several times over; a carrier sends 20 ms at a time."""

CLOSE_WAIT_S: Final = 2.0
"""For the carrier's closing frame, once ours is sent."""

TOKEN: Final = "token"  # noqa: S105 - a parameter's name
"""The custom parameter, and the query value, that carries a credential."""

MOST_WAITING: Final = 256
"""Sockets that have not started a stream: the one thing here that a stranger may hold, for the start timeout."""

LEAVING_S: Final = 10.0
"""What calls cut off by a shutdown have for their last words."""

SOCKETS: web.AppKey[dict[MediaSocket, asyncio.Task[None]]] = web.AppKey("media sockets", dict)
"""Open media sockets, each with the task that serves it."""

REPLAYS: web.AppKey[Replays] = web.AppKey("signatures that were used", Replays)


def add_routes(app: web.Application) -> None:
    """A route for every dialect in the table that has one."""
    app[SOCKETS] = {}
    app[REPLAYS] = Replays()
    sockets = (dialect for dialect in DIALECTS.values() if dialect.frames is not Frames.TCP)
    app.router.add_routes([web.get(dialect.path, partial(_media, dialect=dialect)) for dialect in sockets])


async def leave(app: web.Application) -> None:
    """The server shuts down: calls in progress end as `drained`. Returns when they have, or are out of time."""
    serving = app[SOCKETS].copy()
    if serving:
        await asyncio.gather(*(media.leave() for media in serving))
        _, late = await asyncio.wait(serving.values(), timeout=LEAVING_S)
        for task in late:
            task.cancel()


async def _media(request: web.Request, *, dialect: Dialect) -> web.StreamResponse:
    """One carrier connection. What can be refused is refused before the upgrade, by HTTP status."""
    context = request.app[CONTEXT]
    handshake = Handshake(url=_media_url(request, context.settings), headers=request.headers, query=request.query)
    try:
        now = context.clock.now()
        signed = dialect.signed(handshake, context.settings, now)
        principal = await _admit(request, dialect, signed, context)
        check_room(request.app, context, principal)
        if isinstance(signed, OneUse):  # not sooner: whoever found no room may come again
            request.app[REPLAYS].use(dialect.name, signed, now)
    except BridgeError as error:
        CALLS_REFUSED.labels(dialect.name, error.code).inc()
        raise
    socket = web.WebSocketResponse(
        protocols=dialect.subprotocols,
        heartbeat=None,  # some carriers hang up on a ping, and the idle timeout finds a dead line as soon
        max_msg_size=MAX_MESSAGE,
        timeout=CLOSE_WAIT_S,
    )
    await socket.prepare(request)
    conversation = dialect.hear(handshake)
    media = MediaSocket(socket, conversation, dialect=dialect.name, clock=context.clock, settings=context.settings)

    async def tenant(started: StreamStarted) -> str:
        return (principal or await _principal(started, context)).tenant

    await asyncio.shield(serve(request.app, media, dialect.name, tenant))
    return socket


def serve(
    app: web.Application, media: MediaSocket, name: str, tenant: Callable[[StreamStarted], Awaitable[str]]
) -> asyncio.Task[None]:
    """Take a dialect's call from its first message to its end, for the tenant that its start tells.

    In a task of its own: when the connection is lost, and its handler with it, the call still hears what had come.
    """
    serving = asyncio.create_task(_converse(media, name, tenant, app[CONTEXT]))
    sockets = app[SOCKETS]
    sockets[media] = serving
    serving.add_done_callback(lambda _: sockets.pop(media))
    return serving


async def _converse(
    media: MediaSocket, name: str, tenant: Callable[[StreamStarted], Awaitable[str]], context: Context
) -> None:
    """From the upgrade to the closing frame. Whatever goes wrong ends this call alone, by a close code."""
    fault: BridgeError | None = None
    try:
        async with aclosing(media.items()) as items:
            started = await anext(items, None)
            if isinstance(started, StreamStarted):
                media.tenant = owner = await tenant(started)
                await context.calls.take(_without_token(started), items, tenant=owner)
    except BridgeError as error:
        fault = error
    except Exception:
        log.exception("media socket failed", dialect=name)
        fault = BridgeError("something went wrong on our side")
    fault = fault or media.fault
    if fault is not None:
        refused = isinstance(fault, CapacityError | RequestError)
        (CALLS_REFUSED if refused else MEDIA_ERRORS).labels(name, fault.code).inc()
        log.warning("media stream ended by a fault", dialect=name, code=fault.code, reason=fault.message)
    await media.close(fault)


async def _admit(
    request: web.Request, dialect: Dialect, signed: OneUse | bool | None, context: Context
) -> Principal | None:
    """Who calls; None when only a token in the stream's start will tell.

    A signature is required once its secret is set; a good Bearer credential stands in for it, so that `play` and other
    senders can call the same address. Raises CarrierAuthError, UnauthorisedError, ForbiddenError.
    """
    key = key_beside(request.headers, dialect.proofs) if signed is None else ""  # else it names what signs
    shown = request.headers.get("Authorization") or (f"Bearer {key}" if key else "")
    presented = context.settings.auth != "off" and (bool(shown) or TOKEN in request.query)
    if signed:
        return Principal(tenant=DEFAULT_TENANT, scopes=frozenset({Scope.MEDIA}), identity=dialect.name)
    if signed is False and not presented:
        raise CarrierAuthError("the signature of this upgrade is missing or wrong")
    if not presented and Proof.PARAMETER in dialect.proofs and context.settings.auth != "off":
        return None
    principal = await context.auth.principal(request, authorization=as_bearer(shown, dialect.proofs))
    principal.need(Scope.MEDIA)
    return principal


async def _principal(started: StreamStarted, context: Context) -> Principal:
    """Whose token the stream's start carries. Raises CarrierAuthError, ForbiddenError."""
    principal = await context.auth.identify(started.parameters.get(TOKEN, ""))
    if principal is None:
        raise CarrierAuthError("the stream's parameters carry no token that is known here")
    principal.need(Scope.MEDIA)
    return principal


def _without_token(started: StreamStarted) -> StreamStarted:
    """What goes on into events and the store holds no credential."""
    kept = {name: value for name, value in started.parameters.items() if name != TOKEN}
    return replace(started, parameters=kept)


def check_room(app: web.Application, context: Context, principal: Principal | None = None) -> None:
    """Raises CapacityError."""
    if context.leaving.is_set():
        raise CapacityError("this server is shutting down", retry_after=5)
    if sum(not media.started for media in app[SOCKETS]) >= MOST_WAITING:
        raise CapacityError("too many streams are about to start", retry_after=context.settings.start_timeout_s)
    context.calls.check_room(None if principal is None else principal.tenant)


def _media_url(request: web.Request, settings: Settings) -> str:
    """The address the carrier was given. Raises InvalidRequestError."""
    return f"ws{public_base(request, settings).removeprefix('http')}{request.path_qs}"
