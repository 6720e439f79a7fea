"""Placing a call over plain RTP: a leg's datagrams to its port, each when it is due."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from bridge.carrier.audio import EncodedAudio
from bridge.carrier.faults import disturb
from bridge.carrier.place import ORDINARY, CallReport, Manner, paced
from bridge.carrier.rtp import RtpSide
from bridge.carrier.side import conversation
from bridge.errors import CallRefusedError, InvalidRequestError
from bridge.model.stream import Leg
from bridge.ports import Clock
from callcodecs.errors import MalformedPacketError

SCHEME: Final = "rtp"

LARGEST: Final = 65_535
"""Bytes of a datagram."""

Destination = tuple[str, int]


def destinations(url: str) -> list[Destination]:
    """`rtp://host:port`, or with a second port or address behind a comma: where each leg goes.

    Raises InvalidRequestError.
    """
    rest = url.removeprefix(f"{SCHEME}://")
    found: list[Destination] = []
    for part in rest.split(","):
        host = found[0][0] if found and part.isdecimal() else None
        try:
            address = urlsplit(
                f"//{part}" if host is None else f"//[{host}]:{part}" if ":" in host else f"//{host}:{part}"
            )
            name, port = address.hostname, address.port
        except ValueError:
            name = port = None
        if rest == url or not name or not port or address.path:
            raise InvalidRequestError(f"{url!r} is not like rtp://203.0.113.9:40000 or rtp://203.0.113.9:40000,40002")
        found.append((name, port))
    if len(found) > 2:
        raise InvalidRequestError(f"{url!r} has {len(found)} addresses; a call has two legs at most")
    return found


def legs_for(legs: Sequence[Leg], count: int) -> tuple[Leg, ...]:
    """What `count` ports carry of a recording's legs: one leg a port, or all of them mixed in one.

    Raises InvalidRequestError when there are more ports than legs.
    """
    if count > len(legs):
        raise InvalidRequestError(f"{count} addresses for a recording of {len(legs)} channel")
    return tuple(legs) if count == len(legs) else (Leg.MIXED,)


async def place_rtp_call(
    addresses: Mapping[Leg, Destination],
    audio: EncodedAudio,
    side: RtpSide,
    *,
    clock: Clock,
    manner: Manner = ORDINARY,
    progress: Callable[[float], None] | None = None,
) -> CallReport:
    """Send one call, and let `side` hear what comes back. `manner.speed` infinite: as fast as this machine sends, which
    UDP may lose.

    Raises CallRefusedError for an address that cannot be had, or at which nobody listens on this machine.
    """
    report, loop = CallReport(audio), asyncio.get_running_loop()
    await clock.sleep(manner.delay_s)
    sockets: dict[tuple[Leg, bool], socket.socket] = {}
    deaf: set[socket.socket] = set()
    try:
        for leg, (host, port) in addresses.items():
            for control in (False, True):
                sockets[leg, control] = await _connected(host, port + control)
            loop.add_reader(sockets[leg, False], _hear, sockets[leg, False], side, deaf)
        line = disturb(conversation(side, audio, manner.keys), manner.faults)
        async for timed in paced(line, manner.speed, clock, report):
            if timed.frame is not None and math.isnan(report.sent[timed.frame]):
                report.sent[timed.frame] = clock.now()
            datagram = timed.message.encode() if isinstance(timed.message, str) else timed.message
            await _send(sockets[side.destination(datagram)], datagram, deaf)
            report.messages_sent += 1
            if progress is not None:
                progress(timed.due_ms)
    finally:
        for opened in sockets.values():
            loop.remove_reader(opened)
            opened.close()
    report.ended_at = clock.now()
    return report


def _hear(opened: socket.socket, side: RtpSide, deaf: set[socket.socket]) -> None:
    try:
        side.hear(opened.recv(LARGEST))
    except ConnectionRefusedError:
        deaf.add(opened)
    except (OSError, MalformedPacketError):  # nothing now, or nothing of ours
        return


async def _connected(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    try:
        family, _, _, _, address = (await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM))[0]
        opened = socket.socket(family, socket.SOCK_DGRAM)
    except OSError as error:
        raise CallRefusedError(f"{host}:{port}: {error.strerror}", status=None) from None
    try:
        opened.setblocking(False)
        opened.connect(address)
    except OSError as error:
        opened.close()
        raise CallRefusedError(f"{host}:{port}: {error.strerror}", status=None) from None
    return opened


async def _send(opened: socket.socket, datagram: bytes, deaf: set[socket.socket]) -> None:
    """`deaf`: of which it is known already that nobody listens at the other end."""
    try:
        await asyncio.get_running_loop().sock_sendall(opened, datagram)
    except ConnectionRefusedError:
        deaf.add(opened)
    if opened in deaf:
        host, port = opened.getpeername()[:2]
        raise CallRefusedError(f"nobody listens at {host}:{port}", status=None) from None
