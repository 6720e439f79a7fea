"""The way back over RTP: payloads in, packets of one source out; and which offers of WebRTC have one."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from bridge.carrier.audio import CallAudio
from bridge.carrier.place_whip import WhipSide
from bridge.carrier.side import Dialled
from bridge.ingest.sdp import Peer
from bridge.ingest.webrtc import read_description
from bridge.ingest.whip import agree
from bridge.model.stream import Encoding, Leg, MediaFormat, StreamStarted
from bridge.web.way_back import PacketsBack
from callcodecs.rtp import RtpPacket
from tests.clock import LeapingClock

ULAW = MediaFormat(encoding=Encoding.PCMU, sample_rate=8000)
US = Peer(ufrag="abcd", password="p" * 22, fingerprints=(("sha-256", "AA"),))


async def test_packets_of_one_source_in_the_time_in_which_they_are_played() -> None:
    """Numbered on, 160 ticks apart, marked where speech begins; a pause is a step of the timestamp."""
    clock, sent = LeapingClock(), []

    async def send(packet: bytes) -> None:
        sent.append(RtpPacket.parse(packet))

    started = StreamStarted(carrier="rtp", carrier_call_id="", stream_id="", legs=(Leg.CALLER,), media_format=ULAW)
    line = PacketsBack(started, 8, 8000, tenant="t", clock=clock, send=send, heard_out=asyncio.Event())
    await line.say([b"a" * 160, b"b" * 160])
    await clock.sleep(0.05)
    await line.say([b"c" * 160])
    await clock.sleep(2.01)
    await line.say([b"d" * 160])
    first = sent[0]
    assert [packet.marker for packet in sent] == [True, False, False, True]
    assert [(packet.sequence - first.sequence) & 0xFFFF for packet in sent] == [0, 1, 2, 3]
    assert [(packet.timestamp - first.timestamp) & 0xFFFF_FFFF for packet in sent] == [0, 160, 320, 2060 * 8]
    assert {(packet.ssrc, packet.payload_type) for packet in sent} == {(first.ssrc, 8)}


@pytest.mark.parametrize(
    ("hears", "wanted", "answered"),
    [(True, True, "sendrecv"), (True, False, "recvonly"), (False, True, "recvonly")],
    ids=["both", "not-asked-for", "not-offered"],
)
def test_which_offers_are_answered_both_ways(hears: bool, wanted: bool, answered: str) -> None:
    """Those of `sendrecv`, where that was asked for: RFC 9725 knows `recvonly` alone."""
    side = WhipSide.of(Dialled(legs=(Leg.CALLER,)), CallAudio({Leg.CALLER: np.zeros(160, np.int16)}, 8000), hears=hears)
    agreed = agree(read_description(side.offer(US)), "mono", both_ways=wanted)
    assert f"a={answered}\r\n" in agreed.answer(US, session=1)
