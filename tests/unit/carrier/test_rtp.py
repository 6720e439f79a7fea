"""Being a sender of RTP: where it goes, and what nobody takes."""

from __future__ import annotations

import math
import socket
from itertools import pairwise

import pytest

from bridge.carrier.audio import EncodedAudio
from bridge.carrier.place import Manner
from bridge.carrier.place_rtp import destinations, legs_for, place_rtp_call
from bridge.carrier.rtp import OFFERED, RtpSide
from bridge.carrier.side import Dialled
from bridge.clock import SystemClock
from bridge.errors import CallRefusedError, InvalidRequestError
from bridge.model.stream import Leg
from callcodecs.rtp import RtpPacket

BOTH = (Leg.CALLER, Leg.AGENT)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("rtp://127.0.0.1:40000", [("127.0.0.1", 40000)]),
        ("rtp://127.0.0.1:40000,40002", [("127.0.0.1", 40000), ("127.0.0.1", 40002)]),
        ("rtp://media.example.org:40000,10.0.0.2:5000", [("media.example.org", 40000), ("10.0.0.2", 5000)]),
        ("rtp://[::1]:40000,40002", [("::1", 40000), ("::1", 40002)]),
    ],
)
def test_where_it_goes(url: str, found: list[tuple[str, int]]) -> None:
    """One address, or two; the second may be a port alone."""
    assert destinations(url) == found


@pytest.mark.parametrize(
    "url",
    [
        "rtp://",
        "rtp://host",
        "rtp://host:0",
        "rtp://host:99999",
        "rtp://host:4,",
        "rtp://h:1/x",
        "http://h:1",
        "rtp://h:1,2,3",
    ],
)
def test_where_it_cannot_go(url: str) -> None:
    """What is no such address is refused with an example of one."""
    with pytest.raises(InvalidRequestError):
        destinations(url)


def test_legs_and_ports() -> None:
    """A port a leg, or all mixed in one; a leg that is not there has none."""
    assert legs_for(BOTH, 2) == BOTH
    assert legs_for(BOTH, 1) == (Leg.MIXED,)
    assert legs_for((Leg.CALLER,), 1) == (Leg.CALLER,)
    with pytest.raises(InvalidRequestError):
        legs_for((Leg.CALLER,), 2)


@pytest.mark.parametrize("media_format", OFFERED, ids=lambda each: f"{each.encoding}-{each.sample_rate}")
def test_its_packets(media_format: object) -> None:
    """Both legs' frames have their own source and count, one clock, and a mark at the first."""
    side = RtpSide(Dialled(legs=BOTH, media_format=media_format))
    sent = [side.media(20 * n, dict.fromkeys(BOTH, b"\x01\x02")) for n in range(3)]
    clock_rate = 8000 if media_format.encoding in {"PCMU", "PCMA", "G722"} else media_format.sample_rate
    for n, leg in enumerate(BOTH):
        packets = [RtpPacket.parse(frame[n]) for frame in sent]
        assert {side.destination(frame[n]) for frame in sent} == {(leg, False)}
        assert [packet.marker for packet in packets] == [True, False, False]
        assert {
            ((b.sequence - a.sequence) & 0xFFFF, (b.timestamp - a.timestamp) & 0xFFFFFFFF) for a, b in pairwise(packets)
        } == {(1, clock_rate // 50)}
    assert [side.destination(control) for control in side.closing()] == [(leg, True) for leg in BOTH]


async def test_nobody_listens() -> None:
    """On this machine that is told at once."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    side = RtpSide(Dialled(legs=(Leg.CALLER,)))
    audio = EncodedAudio([{Leg.CALLER: b"\xff" * 160}] * 50, 20, (Leg.CALLER,))
    manner = Manner(speed=math.inf)
    with pytest.raises(CallRefusedError, match="nobody listens"):
        await place_rtp_call({Leg.CALLER: ("127.0.0.1", port)}, audio, side, clock=SystemClock(), manner=manner)
