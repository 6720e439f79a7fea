"""AudioSocket: Asterisk's TCP connections, and the UUIDs that are told before they come.

A UUID is all that such a connection shows. One that was announced over HTTP belongs to whoever announced it, once and
for a while; with any other, only machines in `CALLBRIDGE_AUDIOSOCKET_NETWORKS` may call.
"""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

import structlog
from aiohttp import hdrs, web
from pydantic import Field

from bridge.errors import BridgeError, CapacityError, CarrierAuthError, ConflictError
from bridge.ingest.audiosocket import FRAME_MS, AudioSocketStream, Expected
from bridge.metrics import CALLS_REFUSED
from bridge.model.stream import Leg, StreamStarted
from bridge.ports import Clock
from bridge.settings import Settings, networks_of
from bridge.web.auth import DEFAULT_TENANT, Scope
from bridge.web.call_options import CallOptionsIn
from bridge.web.context import CONTEXT, Context
from bridge.web.media import check_room, serve
from bridge.web.media_socket import MediaSocket
from bridge.web.moments import Moment
from bridge.web.route import Answer, Ask, Nothing, Outgoing, Route, answer
from bridge.web.tcp_wire import TcpWire

log = structlog.get_logger(__name__)

NAME: Final = "audiosocket"

MOST_ANNOUNCED: Final = 10_000
"""UUIDs waiting for their calls, of all tenants together."""
USUAL_WAIT_S: Final = 300
LONGEST_WAIT_S: Final = 86_400

LATE_S: Final = 0.1
"""Silence that is later than this is not made up for: it would come in a burst, which Asterisk does not expect."""


# -- announced calls ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """A call that is to come."""

    tenant: str
    expected: Expected
    expires_at: float


class Announcements:
    """UUIDs and what is known of their calls. Each is good for one call."""

    def __init__(self) -> None:
        self._waiting: dict[str, Announced] = {}

    def add(self, uuid: str, announced: Announced, *, now: float) -> None:
        """Raises ConflictError for a UUID that waits already, CapacityError when too many do."""
        self._waiting = {known: waiting for known, waiting in self._waiting.items() if waiting.expires_at > now}
        if uuid in self._waiting:
            raise ConflictError(f"{uuid} is announced already")
        if len(self._waiting) >= MOST_ANNOUNCED:
            raise CapacityError(f"{MOST_ANNOUNCED} announced calls have not come yet", retry_after=60)
        self._waiting[uuid] = announced

    def take(self, uuid: str, *, now: float) -> Announced | None:
        found = self._waiting.pop(uuid, None)
        return found if found is not None and found.expires_at > now else None


ANNOUNCEMENTS: web.AppKey[Announcements] = web.AppKey("announced AudioSocket calls", Announcements)


class AudioSocketIn(CallOptionsIn):
    """A call that will come over AudioSocket."""

    uuid: UUID | None = Field(default=None, description="with which Asterisk will call; left out, one is made")
    leg: Leg = Field(
        default=Leg.CALLER, description="who is heard: `mixed` for a bridge's audio, as of ARI's externalMedia"
    )
    expires_in: int = Field(
        default=USUAL_WAIT_S, ge=1, le=LONGEST_WAIT_S, description="seconds within which the call has to come"
    )


class AudioSocketOut(Outgoing):
    uuid: UUID = Field(description="for `AudioSocket(UUID,HOST:PORT)`; good for one call")
    expires_at: Moment


async def announce_audiosocket(ask: Ask[Nothing, AudioSocketIn]) -> web.StreamResponse:
    uuid, now = ask.body.uuid or uuid4(), ask.context.clock.now()
    announced = Announced(
        tenant=ask.tenant,
        expected=Expected(leg=ask.body.leg, parameters=ask.body.as_parameters()),
        expires_at=now + ask.body.expires_in,
    )
    ask.request.app[ANNOUNCEMENTS].add(str(uuid), announced, now=now)
    return answer(AudioSocketOut(uuid=uuid, expires_at=announced.expires_at), status=201)


ROUTES: Final = (
    Route(
        method=hdrs.METH_POST,
        path="/v1/audiosocket",
        handler=announce_audiosocket,
        scope=Scope.MEDIA,
        summary="Announce a call that will come over AudioSocket",
        tag="calls",
        body=AudioSocketIn,
        answers=(Answer(description="the UUID that lets it in", status=201, model=AudioSocketOut),),
        faults=(ConflictError, CapacityError),
    ),
)


# -- connections ----------------------------------------------------------------------------------------------------


async def listen(app: web.Application, host: str, port: int) -> asyncio.Server:
    """Take AudioSocket calls at this address, for a server that has started. Raises OSError.

    Calls in progress outlast the `close` of what is returned; they end with the application, as all do.
    """
    serving: set[asyncio.Task[None]] = set()

    def accepted(wire: TcpWire) -> None:
        task = asyncio.create_task(_call(app, wire))
        serving.add(task)
        task.add_done_callback(serving.discard)

    return await asyncio.get_running_loop().create_server(lambda: TcpWire(accepted), host, port)


async def _call(app: web.Application, wire: TcpWire) -> None:
    """One connection, from its opening to its end."""
    context = app[CONTEXT]
    try:
        check_room(app, context)
    except BridgeError as error:
        CALLS_REFUSED.labels(NAME, error.code).inc()
        log.warning("AudioSocket call refused", code=error.code, reason=error.message)
        await wire.close()
        return
    door = _Door(app[ANNOUNCEMENTS], wire.peer, context)
    stream = AudioSocketStream(door.expect)
    media = MediaSocket(wire, stream, dialect=NAME, clock=context.clock, settings=context.settings)
    awake = asyncio.create_task(_keep_awake(wire, stream, media, context.clock))
    try:
        await asyncio.shield(serve(app, media, NAME, door.tenant))
    finally:
        awake.cancel()


async def _keep_awake(wire: TcpWire, stream: AudioSocketStream, media: MediaSocket, clock: Clock) -> None:
    """Silence from the first moment on, 20 ms every 20 ms, whenever nobody speaks.

    Asterisk's application gives up a connection on which nothing comes back for two seconds, and some versions send
    hardly any audio to a peer that is silent (asterisk#2089).
    """
    due = clock.monotonic()
    while True:
        if media.talker is None or not media.talker.speaks:
            wire.say(stream.silence)
        due += FRAME_MS / 1000
        if (now := clock.monotonic()) - due > LATE_S:
            due = now
        await clock.sleep(max(0.0, due - now))


class _Door:
    """Who may call on one connection."""

    def __init__(self, announcements: Announcements, peer: str, context: Context) -> None:
        self._announcements = announcements
        self._peer = peer
        self._context = context
        self._tenant = DEFAULT_TENANT

    def expect(self, uuid: str) -> Expected:
        """What is known of this call. Raises CarrierAuthError where nothing is and it may not come unannounced."""
        announced = self._announcements.take(uuid, now=self._context.clock.now())
        if announced is not None:
            self._tenant = announced.tenant
            return announced.expected
        if not may_come_unannounced(self._peer, self._context.settings):
            raise CarrierAuthError(
                f"{uuid} was not announced, and {self._peer} is not in CALLBRIDGE_AUDIOSOCKET_NETWORKS"
            )
        return Expected()

    async def tenant(self, _started: StreamStarted) -> str:
        return self._tenant


def may_come_unannounced(peer: str, settings: Settings) -> bool:
    """Whether any UUID from this address is let in."""
    if settings.auth == "off":
        return True
    address = ipaddress.ip_address(peer.partition("%")[0])
    inner = getattr(address, "ipv4_mapped", None) or address  # a socket for both families
    return any(inner in network for network in networks_of(settings.audiosocket_networks))
