"""Both halves of every dialect, without a socket: what the carrier's says, ours understands, in every codec."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from bridge.audio.decode import decoder_for
from bridge.carrier.audio import CallAudio
from bridge.carrier.side import Dialled, Key, conversation, encode_for
from bridge.dialects import DIALECTS, Dialect, Frames
from bridge.errors import InvalidRequestError
from bridge.ingest.conversation import Handshake
from bridge.model.stream import (
    DtmfDigit,
    Encoding,
    Leg,
    MediaChunk,
    MediaFormat,
    StreamItem,
    StreamStarted,
    StreamStopped,
)

BOTH = (Leg.CALLER, Leg.AGENT)
RATE = 16_000

EVERY_FORMAT = pytest.mark.parametrize(
    ("dialect", "media_format"),
    [
        pytest.param(dialect, each, id=f"{dialect.name}-{each.encoding}-{each.sample_rate}")
        for dialect in DIALECTS.values()
        for each in dialect.speak(Dialled(legs=BOTH)).offered
    ],
)
EVERY_DIALECT = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)


def two_tones(seconds: float) -> CallAudio:
    """The caller at 500 Hz, the agent at 1,250."""
    time = np.arange(int(seconds * RATE)) / RATE
    return CallAudio(
        {
            leg: (8000 * np.sin(2 * np.pi * hertz * time)).astype(np.int16)
            for leg, hertz in zip(BOTH, (500, 1250), strict=True)
        },
        RATE,
    )


def heard(dialect: Dialect, call: Dialled, seconds: float = 1.0, keys: Any = ()) -> list[StreamItem]:
    side = dialect.speak(call)
    hearing = dialect.hear(Handshake(url="wss://calls.example.org/", headers={}, query={}))
    spoken = conversation(side, encode_for(side, two_tones(seconds)), keys)
    return [item for timed in spoken for item in hearing.receive(timed.message)]


@EVERY_FORMAT
def test_each_party_in_every_codec(dialect: Dialect, media_format: MediaFormat) -> None:
    """Decoded as the start announces it, each leg has its own tone; the mix has all."""
    started, *items = heard(dialect, Dialled(legs=BOTH, media_format=media_format))
    assert isinstance(started, StreamStarted)
    for leg, hertz in {Leg.CALLER: {500}, Leg.AGENT: {1250}, Leg.MIXED: {500, 1250}}.items():
        if leg not in started.legs:
            continue
        decoder = decoder_for(started.media_format, started.legs[0])
        chunks = [item for item in items if isinstance(item, MediaChunk) and item.leg == leg]
        samples = np.concatenate([decoder.decode(chunk.payload) for chunk in chunks])
        assert len(samples) == pytest.approx(decoder.sample_rate, abs=decoder.sample_rate // 50)
        spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), decoder.sample_rate))
        loudest = np.flatnonzero(spectrum > spectrum.max() / 4)
        assert {int(round(found / 250) * 250) for found in loudest} == hertz


@EVERY_DIALECT
def test_ids_and_parameters(dialect: Dialect) -> None:
    """What names the call and what the customer adds arrive as they were given."""
    call = Dialled(
        legs=BOTH, parameters={"language": "en", "metadata.note": 'a=b; "c", {d}: é'}, carrier_call_id="a1" * 16
    )
    started = heard(dialect, call, 0.1)[0]
    assert isinstance(started, StreamStarted)
    assert started.carrier == dialect.name
    assert started.carrier_call_id.replace("-", "").endswith("a1" * 16)
    assert started.parameters == ({} if dialect.frames is Frames.TCP else call.parameters)


@EVERY_DIALECT
@pytest.mark.parametrize("legs", [BOTH, (Leg.CALLER,)], ids=["both", "caller-alone"])
def test_legs_that_are_announced(dialect: Dialect, legs: tuple[Leg, ...]) -> None:
    """The start names the legs that come, and no others."""
    started, *items = heard(dialect, Dialled(legs=legs), 0.1)
    assert isinstance(started, StreamStarted)
    assert {item.leg for item in items if isinstance(item, MediaChunk)} == set(started.legs)


@EVERY_DIALECT
def test_times(dialect: Dialect) -> None:
    """Where a dialect says when audio was, it begins at zero and goes on frame by frame; where it counts, by one."""
    side = dialect.speak(Dialled(legs=BOTH))
    items = heard(dialect, Dialled(legs=BOTH), 0.5)
    for leg in side.legs:
        chunks = [item for item in items if isinstance(item, MediaChunk) and item.leg == leg]
        if chunks[0].timestamp_ms is not None:
            assert [chunk.timestamp_ms for chunk in chunks] == [n * side.frame_ms for n in range(len(chunks))]
        if chunks[0].sequence is not None:
            assert {chunk.sequence - n for n, chunk in enumerate(chunks)} == {chunks[0].sequence}


@EVERY_DIALECT
def test_keys_and_the_end(dialect: Dialect) -> None:
    """A key is told as it was pressed, where the dialect tells keys; the end comes last, where it tells that."""
    side = dialect.speak(Dialled(legs=BOTH))
    items = heard(dialect, Dialled(legs=BOTH), 0.3, [Key(110, Leg.CALLER, "#")])
    expected = [DtmfDigit(leg=side.legs[0], digit="#")] if side.key(Leg.CALLER, "#") else []
    assert [item for item in items if isinstance(item, DtmfDigit)] == expected
    assert [item for item in items if isinstance(item, StreamStopped)] == ([items[-1]] if side.closing() else [])


@EVERY_DIALECT
def test_a_codec_that_is_not_offered(dialect: Dialect) -> None:
    """It is refused by name, with those that are."""
    odd = MediaFormat(encoding=Encoding.L16_BE, sample_rate=11_025)
    side = dialect.speak(Dialled(legs=BOTH))
    if len(side.offered) == 1:
        assert side.media_format == side.offered[0]
        return
    with pytest.raises(InvalidRequestError, match="L16BE at 11025 Hz is not sent"):
        dialect.speak(Dialled(legs=BOTH, media_format=odd))


def test_the_mix_of_two_loud_parties() -> None:
    """It is cut at full scale, and does not wrap around."""
    loud = np.full(160, 30_000, np.int16)
    mixed = CallAudio({Leg.CALLER: loud, Leg.AGENT: loud}, 8000).on_line((Leg.MIXED,))
    assert set(mixed.legs[Leg.MIXED]) == {32767}


def test_bandwidth_counts_all_tracks_together() -> None:
    """So that the reader is tried with what is harder."""
    side = DIALECTS["bandwidth"].speak(Dialled(legs=BOTH))
    spoken = [json.loads(said) for n in range(2) for said in side.media(20 * n, dict.fromkeys(BOTH, b"\xff" * 160))]
    assert [message["sequenceNumber"] for message in spoken] == [1, 2, 3, 4]
