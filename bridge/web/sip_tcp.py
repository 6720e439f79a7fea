"""SIP over TCP with bounds: aiosipua's transport takes any number of connections, and holds what nobody reads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog
from aiosipua.message import SipRequest, SipResponse
from aiosipua.transport import TcpSipTransport

log = structlog.get_logger(__name__)

MOST_CONNECTIONS: Final = 256
"""A session border controller has one or a few, for all its calls."""

MOST_UNREAD: Final = 256 * 1024
"""Bytes of answers that a client may leave unread: a hundred."""


@dataclass
class BoundedTcpTransport(TcpSipTransport):
    """A connection from a stranger, or one too many, is closed at once; so is one whose client reads no answers."""

    may_connect: Callable[[str], bool] = lambda _: True
    """Whether a host may."""

    async def _handle_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host = str(writer.get_extra_info("peername")[0])
        if len(self._connections) >= MOST_CONNECTIONS or not self.may_connect(host):
            log.warning(
                "SIP connection not taken: a host that is not in CALLBRIDGE_SIP_SOURCES, or too many connections",
                source=host,
                connections=len(self._connections),
            )
            writer.transport.abort()
            return
        await super()._handle_connection(reader, writer)

    def send(self, message: SipRequest | SipResponse, addr: tuple[str, int]) -> None:
        """Raises RuntimeError for a connection that is not there."""
        super().send(message, addr)
        _, writer = self._connections[addr]
        if writer.transport.get_write_buffer_size() > MOST_UNREAD:
            log.warning("a SIP client reads no answers", source=addr[0])
            writer.transport.abort()
