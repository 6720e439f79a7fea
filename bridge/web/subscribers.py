"""One live reader's connection: Server-Sent Events or a WebSocket."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from typing import Final, Protocol

from aiohttp import WSCloseCode, WSMsgType, hdrs, web

from bridge.model.events import Event
from bridge.ports import Clock

KEEP_ALIVE_S: Final = 15
"""Below the 30 s after which the first proxies on the way give up on a quiet connection."""

RETRY_MS: Final = 2000
"""How long a browser's EventSource waits before it comes back."""

FAREWELL_S: Final = 2
ROOM: Final = 2**16
"""Bytes below which a connection that has nothing unsent takes a message without a wait: asyncio's high-water mark."""
FINAL_TEXT: Final = 0x80 | WSMsgType.TEXT
MAX_CLIENT_MESSAGE: Final = 4096
"""Bytes. Subscribers have nothing to say; what they say is read and dropped."""

SSE_HEADERS: Final = {
    hdrs.CONTENT_TYPE: "text/event-stream; charset=utf-8",
    hdrs.CACHE_CONTROL: "no-store",
    "X-Accel-Buffering": "no",  # nginx would hold events back until its buffer is full
}


Form = Callable[[Event], bytes]
"""Writes an event as it goes over the wire: alike for all subscribers of this form, and to be joined with others."""


class End(Enum):
    """Why a live stream stops."""

    SETTLED = "the call is over and its text settled"
    LEFT = "the subscriber has gone"
    SLOW = "too slow"
    FAILED = "the events cannot be read now"
    CLOSING = "the server is closing"


CLOSE_CODES: Final = {
    End.SETTLED: WSCloseCode.OK,
    End.LEFT: WSCloseCode.OK,
    End.SLOW: WSCloseCode.TRY_AGAIN_LATER,
    End.FAILED: WSCloseCode.INTERNAL_ERROR,
    End.CLOSING: WSCloseCode.GOING_AWAY,
}
"""RFC 6455 §7.4.1, and 1013 of its registry."""


class Subscriber(Protocol):
    """One open connection that events are written to."""

    transport: str
    form: Form

    async def open(self) -> None: ...

    def has_room(self, written: bytes) -> bool:
        """Whether it may be written without a wait."""
        ...

    async def write(self, written: bytes) -> None:
        """For what there is room. Raises ConnectionError when the other side has gone."""
        ...

    async def send(self, event: Event) -> None:
        """The same for what there is no room; waits while buffers are full."""
        ...

    async def attend(self) -> End:
        """Keep the connection in good health; returns when it is lost."""
        ...

    async def part(self, end: End, resume: int | None) -> None:
        """Say goodbye as far as the connection still allows. `resume`: the `seq` to come back with, if any."""
        ...


class SseSubscriber:
    """A response that never ends by itself. Events carry `seq` as their id where a reader can resume."""

    transport = "sse"

    def __init__(self, request: web.Request, clock: Clock, *, resumable: bool) -> None:
        self._request = request
        self._clock = clock
        self.form: Form = _block_with_id if resumable else _block
        self.response = web.StreamResponse(headers=SSE_HEADERS)

    async def open(self) -> None:
        await self.response.prepare(self._request)
        await self.response.write(f"retry: {RETRY_MS}\n\n".encode())

    def has_room(self, written: bytes) -> bool:
        return _has_room(self._request, written)

    async def write(self, written: bytes) -> None:
        await self.response.write(written)

    async def send(self, event: Event) -> None:
        await self.response.write(event.written(self.form))

    async def attend(self) -> End:
        with suppress(ConnectionError):
            while True:
                await self._clock.sleep(KEEP_ALIVE_S)
                await self.response.write(b": still here\n\n")
        return End.LEFT

    async def part(self, end: End, resume: int | None) -> None:
        del resume  # EventSource knows it as Last-Event-ID
        if end is End.SLOW:
            _abort(self._request)  # what is buffered would not be taken either


class SocketSubscriber:
    """A WebSocket: one JSON text message an event, in one direction."""

    transport = "websocket"

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self.form: Form = _frame
        self.response = web.WebSocketResponse(
            heartbeat=KEEP_ALIVE_S,
            timeout=FAREWELL_S,
            max_msg_size=MAX_CLIENT_MESSAGE,
            compress=False,  # a deflate window a subscriber costs more memory than captions cost bandwidth
        )

    async def open(self) -> None:
        await self.response.prepare(self._request)

    def has_room(self, written: bytes) -> bool:
        return _has_room(self._request, written)

    async def write(self, written: bytes) -> None:
        """Past aiohttp, which writes each frame by itself."""
        transport = self._request.transport
        if transport is None or transport.is_closing() or self.response.closed:
            raise ConnectionResetError("the subscriber has gone")
        transport.write(written)

    async def send(self, event: Event) -> None:
        await self.response.send_frame(event.written(_message), WSMsgType.TEXT)

    async def attend(self) -> End:
        async for _ in self.response:
            pass
        return End.LEFT

    async def part(self, end: End, resume: int | None) -> None:
        goes_on = end is not End.SETTLED and resume is not None
        reason = f"{end.value}: resume with after={resume}" if goes_on else end.value
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self.response.close(code=CLOSE_CODES[end], message=reason.encode())
        except (TimeoutError, ConnectionError):
            _abort(self._request)


def _message(event: Event) -> bytes:
    return event.to_json().encode()


def _frame(event: Event) -> bytes:
    """RFC 6455 §5.2: a text message in one frame, unmasked as a server's are."""
    message = event.written(_message)
    if len(message) < 126:
        head = bytes((FINAL_TEXT, len(message)))
    elif len(message) < 2**16:
        head = struct.pack("!BBH", FINAL_TEXT, 126, len(message))
    else:
        head = struct.pack("!BBQ", FINAL_TEXT, 127, len(message))
    return head + message


def _block(event: Event) -> bytes:
    return b"data: %b\n\n" % event.written(_message)


def _block_with_id(event: Event) -> bytes:
    return b"id: %d\n%b" % (event.seq, event.written(_block))


def _has_room(request: web.Request, message: bytes) -> bool:
    transport = request.transport
    return transport is not None and not transport.get_write_buffer_size() and len(message) < ROOM


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
