"""UDP ports for RTP: a pair a leg, from the range in the settings, read without a thread or a task."""

from __future__ import annotations

import errno
import secrets
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Final

from bridge.errors import CapacityError, SetupError

RECEIVE_BUFFER: Final = 1024 * 1024
"""Bytes asked of the kernel for each RTP port; it may give less. What the event loop has not read yet waits there."""

RETRY_AFTER_S: Final = 10

TAKEN: Final = frozenset({errno.EADDRINUSE, errno.EACCES})


@dataclass(frozen=True, slots=True)
class PortPair:
    """RTP on an even port, RTCP on the next one."""

    rtp: socket.socket
    rtcp: socket.socket

    @property
    def port(self) -> int:
        found: int = self.rtp.getsockname()[1]
        return found

    def close(self) -> None:
        self.rtp.close()
        self.rtcp.close()


def open_pairs(host: str, ports: Sequence[int], count: int) -> list[PortPair]:
    """`count` free pairs of the even `ports`, wherever they lie: a port that cannot be guessed is harder to talk into.

    Raises CapacityError when so many are not free, SetupError when `host` is no address of this machine.
    """
    pairs: list[PortPair] = []
    with ExitStack() as unwanted:
        for port in _shuffled(ports):
            if (pair := _open_pair(host, port)) is not None:
                pairs.append(pair)
                unwanted.callback(pair.close)
            if len(pairs) == count:
                unwanted.pop_all()
                return pairs
    raise CapacityError(
        f"no {count} pairs of UDP ports are free from {ports[0]} to {ports[-1] + 1}", retry_after=RETRY_AFTER_S
    )


def _shuffled(ports: Sequence[int]) -> Iterator[int]:
    """All, from a random one on."""
    begin = secrets.randbelow(len(ports))
    yield from ports[begin:]
    yield from ports[:begin]


def _open_pair(host: str, port: int) -> PortPair | None:
    """None when either port is taken."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)[0][0]
    except OSError as error:
        raise SetupError(f"CALLBRIDGE_RTP_HOST: {host} is no address ({error.strerror})") from error
    sockets = [socket.socket(family, socket.SOCK_DGRAM) for _ in range(2)]
    try:
        for number, bound in enumerate(sockets):
            bound.setblocking(False)
            bound.bind((host, port + number))
    except OSError as error:
        for bound in sockets:
            bound.close()
        if error.errno in TAKEN:
            return None
        raise SetupError(f"CALLBRIDGE_RTP_HOST: cannot listen on {host}:{port} ({error.strerror})") from error
    with suppress(OSError):
        sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    return PortPair(*sockets)
