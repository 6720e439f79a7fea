"""Media sockets: a carrier calls over a real WebSocket, and its words reach the call whole, whatever goes wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bridge.carrier.audio import CallAudio, EncodedAudio, encode
from bridge.carrier.place import CallRefusedError, Manner, place_call
from bridge.carrier.side import Dialled
from bridge.carrier.twilio import TwilioSide
from bridge.clock import SystemClock
from bridge.model.stream import Leg

AT_ONCE = Manner(speed=math.inf)


def two_parties(seconds: float) -> EncodedAudio:
    """Two different ramps, so that legs and order show."""
    ramp = np.arange(int(seconds * 8000), dtype=np.int16)
    return encode(CallAudio({Leg.CALLER: ramp, Leg.AGENT: -ramp}, 8000), TwilioSide.media_format)


async def call(url: str, audio: EncodedAudio, *, manner: Manner = AT_ONCE, **given):
    side = TwilioSide(Dialled(legs=audio.legs, **given))
    return await place_call(url, audio, side, clock=SystemClock(), manner=manner)


async def test_a_call_arrives_whole(serve_media) -> None:
    """Every frame of both legs, in order, with its place in time; the parameters; one hang-up."""
    server = await serve_media(auth="off")
    audio = two_parties(2)
    report = await call(server.twilio, audio, parameters={"metadata.queue": "sales"})
    heard = await server.taker.next_call()
    for leg in (Leg.CALLER, Leg.AGENT):
        chunks = heard.chunks(leg)
        assert [chunk.payload for chunk in chunks] == [frame[leg] for frame in audio.frames]
        assert [chunk.timestamp_ms for chunk in chunks] == [20 * n for n in range(100)]
        assert [chunk.sequence for chunk in chunks] == list(range(1, 101))
    assert heard.started.parameters == {"metadata.queue": "sales"}
    assert heard.stop_reasons == ["hangup"]
    assert report.close_code == 1000
    assert not np.isnan(report.sent).any()
