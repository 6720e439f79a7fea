"""An AudioSocket connection as Asterisk makes it, used as a WebSocket is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from socket import SHUT_RDWR
from typing import Final, Self
from urllib.parse import urlsplit

from aiohttp import WSCloseCode, WSMessage, WSMsgType

from bridge.errors import CallRefusedError
from bridge.ingest.audiosocket import HEADER, RATES, Kind

SCHEME: Final = "tcp"

CLOSED_WITHIN_S: Final = 10.0
"""What the other side has to close the connection, once we have ended ours."""

HUNG_UP: Final = WSCloseCode.GOING_AWAY
"""How a hang-up is reported: it says that the other side ends the call, and no more."""


class TcpLine:
    """One connection. What comes back as audio is for the phone's `ear`, and not reported."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ear: Callable[[bytes], object]
    ) -> None:
        self._ear = ear
        self._reader = reader
        self._writer = writer
        self._ended = asyncio.Event()
        self._leaving = False
        self.close_code: int | None = None
        """As a WebSocket would have it: 1000 for a connection that both sides have ended in order."""

    @classmethod
    async def dial(cls, url: str, ear: Callable[[bytes], object]) -> Self:
        """Raises CallRefusedError."""
        try:
            address = urlsplit(url)
            return cls(*await asyncio.open_connection(address.hostname, address.port), ear)
        except (OSError, ValueError) as error:  # ValueError: a port that is none
            raise CallRefusedError(f"cannot connect to {url}: {error}", status=None) from None

    async def send_bytes(self, packet: bytes) -> None:
        """Raises ConnectionError."""
        self._writer.write(packet)
        await self._writer.drain()

    async def send_str(self, message: str) -> None:
        """No dialect over TCP has any."""
        raise TypeError(f"a text message on an AudioSocket: {message[:20]!r}")

    async def receive(self) -> WSMessage:
        """The next packet that is no audio; a hang-up, and the connection's end, as the closing of a WebSocket."""
        try:
            while True:
                header = await self._reader.readexactly(HEADER.size)
                kind, length = HEADER.unpack(header)
                payload = await self._reader.readexactly(length)
                if kind == Kind.HANG_UP:
                    self._ended.set()
                    return WSMessage(WSMsgType.CLOSE, HUNG_UP, "hang-up")
                if kind not in RATES:
                    return WSMessage(WSMsgType.BINARY, header + payload, None)
                self._ear(header + payload)
        except (asyncio.IncompleteReadError, ConnectionError):
            if not self._leaving:
                self.close_code = WSCloseCode.ABNORMAL_CLOSURE
            self._ended.set()
            return WSMessage(WSMsgType.CLOSED, None, None)

    async def close(self) -> None:
        """End our side, and wait for the other to end its own."""
        if self.close_code is None:
            self._leaving = True
            with suppress(OSError, TimeoutError):
                self._writer.write_eof()
                async with asyncio.timeout(CLOSED_WITHIN_S):
                    await self._ended.wait()
                self.close_code = WSCloseCode.OK
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()

    def cut(self) -> None:
        """As a network fails."""
        self.close_code = WSCloseCode.ABNORMAL_CLOSURE
        line = self._writer.get_extra_info("socket")
        if line is not None:
            with suppress(OSError):
                line.shutdown(SHUT_RDWR)
        self._writer.close()
