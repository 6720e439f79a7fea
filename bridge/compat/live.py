"""A live session over a WebSocket, whatever the service: audio in as a call's, events out as the service tells them.

A `Dialect` (`dialogue.py`) says what messages mean; this file owns the socket, the call and the order of things.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

import structlog
from aiohttp import WSCloseCode, WSMsgType, web

from bridge.compat.dialogue import Begin, ChangeTurns, Dialect, Finalise, Finish, Hear, Say, Wish
from bridge.compat.sound import Sound
from bridge.errors import BridgeError, CapacityError, CarrierError, CarrierProtocolError
from bridge.metrics import CALLS_REFUSED, MEDIA_ERRORS
from bridge.model.events import CallEnded
from bridge.model.stream import Encoding, Flush, MediaChunk, StreamItem, StreamStarted, StreamStopped, TurnsChanged
from bridge.web.context import Context
from callcodecs.opus import OpusDecoder

log = structlog.get_logger(__name__)

MAX_MESSAGE: Final = 16 * 1024 * 1024
"""Bytes: what the most generous of the services takes at once, in base64."""

HEARTBEAT_S: Final = 20.0
CLOSE_WAIT_S: Final = 2.0
LOOK_EVERY_S: Final = 0.5
LEAVING_S: Final = 10.0

MOST_ITEMS: Final = 64
"""Chunks that wait for the call. When there are more the socket is not read on."""

MOST_OPEN: Final = 1000
"""Sessions, those included whose call has not begun."""

SESSIONS: web.AppKey[dict[LiveSession, asyncio.Task[None]]] = web.AppKey("live sessions", dict)

_OPUS: Final = OpusDecoder()
"""Asked for lengths alone."""


async def serve(
    request: web.Request, context: Context, dialect: Dialect, *, name: str, tenant: str, protocols: Iterable[str] = ()
) -> web.WebSocketResponse:
    """From the upgrade to the closing frame. `protocols`: those of the client's that may be answered.

    Raises CapacityError before the upgrade.
    """
    sessions = request.app[SESSIONS]
    if context.leaving.is_set() or len(sessions) >= MOST_OPEN:
        raise CapacityError("no session can begin here now", retry_after=5)
    context.calls.check_room(tenant)
    socket = web.WebSocketResponse(
        protocols=protocols,
        heartbeat=HEARTBEAT_S,
        timeout=CLOSE_WAIT_S,
        max_msg_size=MAX_MESSAGE,
        compress=False,
    )
    await socket.prepare(request)
    session = LiveSession(socket, dialect, context, name=name, tenant=tenant)
    # A task of its own: when the connection is lost, and its handler with it, the call still hears what had come.
    serving = asyncio.create_task(session.run(), name=f"{name} session")
    sessions[session] = serving
    serving.add_done_callback(lambda _: sessions.pop(session))
    await asyncio.shield(serving)
    return socket


async def leave(app: web.Application) -> None:
    """The server shuts down: sessions hear their last words. Returns when they have, or are out of time."""
    serving = app[SESSIONS].copy()
    for session in serving:
        session.leave()
    if serving:
        _, late = await asyncio.wait(serving.values(), timeout=LEAVING_S)
        for task in late:
            task.cancel()


class LiveSession:
    """One client's socket and its call."""

    def __init__(
        self, socket: web.WebSocketResponse, dialect: Dialect, context: Context, *, name: str, tenant: str
    ) -> None:
        self._socket = socket
        self._dialect = dialect
        self._context = context
        self._name = name
        self._tenant = tenant
        self._call_id = f"call_{secrets.token_hex(12)}"
        self._items: asyncio.Queue[StreamItem | BridgeError | None] = asyncio.Queue(MOST_ITEMS)
        self._sound: Sound | None = None
        self._until_ms = 0.0
        self._calling: asyncio.Task[None] | None = None
        self._telling: asyncio.Task[None] | None = None
        self._finish: Finish | None = None
        self._finished = asyncio.Event()
        self._ending = StreamStopped(reason="closed")
        self._fault: BridgeError | None = None
        self._over = False
        self._came_at = context.clock.monotonic()

    def leave(self) -> None:
        """The server goes away."""
        self._ending = StreamStopped(reason="drained")
        self._end(Finish(code=WSCloseCode.GOING_AWAY, reason="the server is shutting down"))

    async def run(self) -> None:
        """Whatever goes wrong ends this session alone."""
        with structlog.contextvars.bound_contextvars(call_id=self._call_id):
            try:
                await self._converse()
            except Exception as error:
                log.exception("live session failed", service=self._name)
                await self._refuse(BridgeError(f"something went wrong on our side: {type(error).__name__}"))
            finally:
                await self._close()

    async def _converse(self) -> None:
        reading = asyncio.create_task(self._read())
        watching = asyncio.create_task(self._watch())
        finishing = asyncio.create_task(self._finished.wait())
        try:
            await asyncio.wait({reading, finishing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (reading, watching, finishing):
                task.cancel()
            results = await asyncio.gather(reading, watching, finishing, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result
        await self._hang_up()

    async def _read(self) -> None:
        await self._do(self._dialect.opened())
        while True:
            message = await self._socket.receive()
            self._came_at = self._context.clock.monotonic()
            if message.type is not WSMsgType.TEXT and message.type is not WSMsgType.BINARY:
                return
            try:
                await self._do(self._dialect.receive(message.data))
            except BridgeError as error:
                await self._refuse(error)

    async def _watch(self) -> None:
        """What comes of nothing coming."""
        clock = self._context.clock
        while True:
            await clock.sleep(LOOK_EVERY_S)
            await self._do(self._dialect.quiet(clock.monotonic() - self._came_at))

    async def _refuse(self, error: BridgeError) -> None:
        refused = isinstance(error, CapacityError)
        (CALLS_REFUSED if refused else MEDIA_ERRORS).labels(self._name, error.code).inc()
        log.warning("live session ended by a fault", service=self._name, code=error.code, reason=error.message)
        if self._fault is None:
            self._fault = error
            self._finish = None  # a client that was done must still hear that not all of it was understood
            await self._do(self._dialect.fault(error))
        self._end(Finish(code=WSCloseCode.INTERNAL_ERROR, reason=error.code))

    def _end(self, finish: Finish) -> None:
        """The first word counts."""
        if self._finish is None:
            self._finish = finish
            self._finished.set()

    # -- what the dialect wishes -----------------------------------------------------------------------------------

    async def _do(self, wishes: Sequence[Wish], *, within_audio: bool = False) -> None:
        for wish in wishes:
            match wish:
                case Say(text=text):
                    await self._say(text)
                case Hear(data=data) if self._sound is not None and self._finish is None:
                    await self._sound.feed(data, self._put)
                case Finalise() if self._sound is not None:
                    if not within_audio:
                        await self._sound.drain()
                    await self._items.put(Flush())
                case ChangeTurns(parameters=parameters) if self._sound is not None:
                    await self._items.put(TurnsChanged(parameters=parameters))
                case Begin():
                    await self._begin(wish)
                case Finish():
                    if self._finish is None:
                        self._ending = replace(self._ending, reason="hangup")
                    self._end(wish)

    async def _say(self, text: str) -> None:
        """A client that does not read is cut, and its call still heard out."""
        if self._socket.closed:
            return
        try:
            async with asyncio.timeout(self._context.patience_s):
                await self._socket.send_str(text)
        except ConnectionError:
            return
        except TimeoutError:
            log.warning("a client does not read what it is told", service=self._name)
            self._end(Finish(code=WSCloseCode.TRY_AGAIN_LATER))
            self._over = True

    # -- the call --------------------------------------------------------------------------------------------------

    async def _begin(self, begin: Begin) -> None:
        started = StreamStarted(
            carrier=begin.carrier,
            carrier_call_id=begin.carrier_call_id,
            stream_id=begin.carrier_call_id,
            legs=begin.sound.legs,
            media_format=begin.sound.media_format,
            parameters={**begin.parameters, "call_id": self._call_id},
        )
        if self._sound is not None:
            await self._sound.finish()
            self._sound = begin.sound
            await self._items.put(started)
            return
        self._sound = begin.sound
        self._calling = asyncio.create_task(self._call(started), name=f"call of {self._name}")
        self._telling = asyncio.create_task(self._tell(), name=f"events to {self._name}")

    async def _call(self, started: StreamStarted) -> None:
        try:
            await self._context.calls.take(started, self._heard(), tenant=self._tenant)
        except BridgeError as error:
            if self._telling is not None:
                self._telling.cancel()
            await self._refuse(error)
        finally:
            self._let_go()

    async def _heard(self) -> AsyncIterator[StreamItem]:
        while (item := await self._items.get()) is not None:
            if isinstance(item, BridgeError):
                raise item
            yield item

    async def _put(self, chunk: MediaChunk) -> None:
        if self._over or self._sound is None:
            return
        await self._items.put(chunk)
        if chunk.leg == self._sound.legs[-1]:
            self._until_ms += _length_ms(chunk, self._sound)
            await self._do(self._dialect.heard(int(self._until_ms)), within_audio=True)

    async def _tell(self) -> None:
        events = self._context.feed.call(self._tenant, self._call_id, coming=True)
        async for event in events:
            await self._do(self._dialect.tell(event))
            if isinstance(event.body, CallEnded):
                return

    # -- the end ---------------------------------------------------------------------------------------------------

    async def _hang_up(self) -> None:
        """What was fed is heard, what is heard is told."""
        if self._sound is None or self._calling is None:
            return
        if not self._calling.done():
            try:
                await self._sound.finish()
            except CarrierProtocolError as error:
                await self._refuse(error)
            ending = self._fault if isinstance(self._fault, CarrierError) else self._ending
            for item in (ending, None):
                await self._items.put(item)
        await asyncio.gather(self._calling, return_exceptions=True)
        if self._telling is not None:
            await asyncio.gather(self._telling, return_exceptions=True)

    def _let_go(self) -> None:
        """Nobody takes items any more: whoever waits for room goes on."""
        self._over = True
        while not self._items.empty():
            self._items.get_nowait()

    async def _close(self) -> None:
        self._let_go()
        if self._sound is not None:
            self._sound.close()
        for task in (self._calling, self._telling):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        finish = self._finish or Finish()
        with suppress(ConnectionError):
            await self._socket.close(code=finish.code, message=finish.reason.encode()[:123])


def _length_ms(chunk: MediaChunk, sound: Sound) -> float:
    encoding, rate = sound.media_format.encoding, sound.media_format.sample_rate
    if encoding is Encoding.OPUS:
        samples, rate = _OPUS.count(chunk.payload), _OPUS.sample_rate
    else:
        samples = len(chunk.payload) // (2 if encoding is Encoding.L16_LE else 1)
    return samples * 1000 / rate
