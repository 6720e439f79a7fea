"""A TCP connection that carries packets, used by a media socket as a WebSocket is."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from aiohttp import WSCloseCode, WSMessage, WSMsgType

from bridge.ingest.audiosocket import LONGEST, Kind, Packets, packet

MOST_HELD: Final = 64 * 1024
"""Bytes read ahead of the call. Then reading pauses, and TCP holds the carrier back."""

MOST_UNREAD: Final = LONGEST
"""Bytes that the other side has not taken. More silence than that is not sent."""

CLOSE_WAIT_S: Final = 2.0
"""For the other side to end the connection, once we have hung up."""

HANG_UP: Final = packet(Kind.HANG_UP)


class TcpWire(asyncio.Protocol):
    """One connection. `accepted` is told when it is open."""

    def __init__(self, accepted: Callable[[TcpWire], None]) -> None:
        self._accepted = accepted
        self._packets = Packets()
        self._waiting: deque[bytes] = deque()
        self._held = 0
        self._paused = False
        self._news: asyncio.Future[None] | None = None
        self._end: WSMsgType | None = None
        """How the other side has ended; None while it has not."""
        self._leaving = False
        self._lost = asyncio.Event()
        self._transport: asyncio.Transport

    @property
    def peer(self) -> str:
        """The other side's IP address."""
        return str(self.get_extra_info("peername")[0])

    # -- what asyncio calls ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # what a TCP server makes
        self._transport = transport
        self._accepted(self)

    def data_received(self, data: bytes) -> None:
        if self._leaving:
            return
        for whole in self._packets.feed(data):
            self._waiting.append(whole)
            self._held += len(whole)
        if self._held > MOST_HELD and not self._paused:
            self._transport.pause_reading()
            self._paused = True
        self._wake()

    def eof_received(self) -> bool:
        """Asterisk hangs up so. The connection stays open on our side until `close`."""
        self._finish()
        return not self._leaving

    def connection_lost(self, _error: Exception | None) -> None:
        """An error is no sign of a broken line: whoever closes with our silence unread resets the connection."""
        self._finish()
        self._lost.set()

    def _finish(self) -> None:
        if self._end is None:
            self._end = WSMsgType.CLOSED if self._packets.unfinished else WSMsgType.CLOSE
        self._wake()

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    # -- what a media socket calls ---------------------------------------------------------------------------------

    async def receive(self) -> WSMessage:
        """The next packet; how the connection ended, once all packets have been read, or at once where we end it."""
        while not self._leaving:
            if self._waiting:
                return WSMessage(WSMsgType.BINARY, self._next(), None)
            if self._end is not None:
                return WSMessage(self._end, None, None)
            self._news = asyncio.get_running_loop().create_future()
            await self._news
        return WSMessage(WSMsgType.CLOSING, None, None)

    def _next(self) -> bytes:
        found = self._waiting.popleft()
        self._held -= len(found)
        if self._paused and self._held <= MOST_HELD:
            self._transport.resume_reading()
            self._paused = False
        return found

    def say(self, message: bytes) -> None:
        """Send a packet, unless the other side has stopped taking any: then it is dropped."""
        if self._end is None and not self._leaving and self._transport.get_write_buffer_size() <= MOST_UNREAD:
            self._transport.write(message)

    async def send_bytes(self, data: bytes) -> None:
        """As `say`: nothing here is worth waiting for."""
        self.say(data)

    async def send_str(self, data: str) -> None:
        """No dialect over TCP has any."""
        raise TypeError(f"a text message on an AudioSocket: {data[:20]!r}")

    async def close(self, *, code: int = WSCloseCode.OK, message: bytes = b"") -> bool:
        """Hang up, unless the other side has, and all is well; end the connection. A reason cannot be told."""
        del message
        if not self._leaving:
            self._leaving = True
            self._wake()
            if self._end is None or code != WSCloseCode.OK:
                self._transport.write(HANG_UP)
            if self._end is None:
                self._transport.write_eof()
                if self._paused:
                    self._transport.resume_reading()  # what still comes is thrown away, up to the end
            else:
                self._transport.close()
        try:
            async with asyncio.timeout(CLOSE_WAIT_S):
                await self._lost.wait()
        except TimeoutError:
            self._transport.abort()
        return True

    def get_extra_info(self, name: str) -> Any:
        return self._transport.get_extra_info(name)
