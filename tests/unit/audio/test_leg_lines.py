"""One leg over bad lines: whatever is lost, doubled, late or garbage, what is heard is heard in its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.audio.clock import StreamClock
from bridge.audio.leg import Heard, LegAudio
from bridge.model.frame import SAMPLE_RATE, AudioFrame, Gap
from bridge.model.stream import Discarded, Encoding, Leg, MediaChunk, MediaFormat
from callcodecs.g711 import encode_ulaw

Line = Callable[[list[MediaChunk], np.random.Generator], list[MediaChunk]]

PHONE = MediaFormat(encoding=Encoding.PCMU, sample_rate=8_000)
SECONDS = 12
PULSE_EVERY = 25
"""Chunks: each half second a pulse is sent, so that the place of every half second can be heard."""
CHUNK = 320
"""What a chunk of 20 ms is at 16 kHz."""
WITHIN = 40 * 16


def sent() -> list[MediaChunk]:
    """μ-law as Twilio sends it, chunks and timestamps counted from the stream's start."""
    silence, pulse = np.zeros(160, np.int16), np.zeros(160, np.int16)
    pulse[80] = 30_000
    return [
        MediaChunk(
            leg=Leg.CALLER,
            payload=encode_ulaw(silence if n % PULSE_EVERY else pulse),
            sequence=n + 1,
            timestamp_ms=20.0 * n,
        )
        for n in range(SECONDS * 50)
    ]


def lossy(share: float) -> Line:
    return lambda chunks, rng: [chunk for chunk in chunks if rng.random() >= share]


def doubled(chunks: list[MediaChunk], rng: np.random.Generator) -> list[MediaChunk]:
    return [copy for chunk in chunks for copy in [chunk] * (1 + (rng.random() < 0.1))]


def reordered(chunks: list[MediaChunk], rng: np.random.Generator) -> list[MediaChunk]:
    """Each chunk may come up to 400 ms late."""
    delays = {id(chunk): rng.uniform(0, 400) if rng.random() < 0.3 else 0 for chunk in chunks[1:]}
    return sorted(chunks, key=lambda chunk: (chunk.timestamp_ms or 0) + delays.get(id(chunk), 0))


def jittery(chunks: list[MediaChunk], rng: np.random.Generator) -> list[MediaChunk]:
    """Timestamps stamped when sent and not when heard."""
    return [replace(chunk, timestamp_ms=(chunk.timestamp_ms or 0) + rng.uniform(0, 19)) for chunk in chunks]


def stalled(chunks: list[MediaChunk], _: np.random.Generator) -> list[MediaChunk]:
    """Five seconds that were never sent: the carrier's clock and count go on."""
    return chunks[:300] + chunks[550:]


def all_at_once(chunks: list[MediaChunk], rng: np.random.Generator) -> list[MediaChunk]:
    return jittery(doubled(reordered(lossy(0.05)(chunks, rng), rng), rng), rng)


LINES: dict[str, Line] = {
    "good": lossy(0),
    "1-percent-lost": lossy(0.01),
    "5-percent-lost": lossy(0.05),
    "20-percent-lost": lossy(0.2),
    "doubled": doubled,
    "reordered-by-400-ms": reordered,
    "inexact-timestamps": jittery,
    "5-seconds-missing": stalled,
    "all-at-once": all_at_once,
}


def hear(chunks: Sequence[MediaChunk | Discarded], leg: LegAudio) -> list[Heard]:
    return [heard for chunk in chunks for heard in leg.push(chunk)] + leg.flush()


def joined(heard: list[Heard]) -> np.ndarray:
    frames = [value for value in heard if isinstance(value, AudioFrame)]
    for before, after in pairwise(frames):
        assert after.position == before.end
    return np.concatenate([frame.samples for frame in frames]) if frames else np.zeros(0, np.float32)


def gap_samples(heard: list[Heard]) -> int:
    return sum(value.samples for value in heard if isinstance(value, Gap))


@pytest.mark.parametrize("timed", [True, False], ids=["timed", "counted-only"])
@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
@pytest.mark.parametrize("seed", range(3))
def test_what_is_heard_is_heard_in_its_place(line: Line, timed: bool, seed: int) -> None:
    """Every pulse that came is within 40 ms of where it was sent, and the length is what came plus the gaps."""
    came = line(sent(), np.random.default_rng(seed))
    leg = LegAudio(Leg.CALLER, PHONE)
    heard = hear(came if timed else [replace(chunk, timestamp_ms=None) for chunk in came], leg)
    samples = joined(heard)
    distinct = sorted({chunk.sequence or 0 for chunk in came})
    first, last = distinct[0], distinct[-1]
    skipped = 0 if timed else first - 1  # before its first chunk a leg without timestamps has no time
    leading = len(samples) - len(distinct) * CHUNK - gap_samples(heard)
    assert 0 <= leading - (first - 1 - skipped) * CHUNK < CHUNK
    assert abs(len(samples) - (last - skipped) * CHUNK) < WITHIN
    for number in distinct:
        if (number - 1) % PULSE_EVERY == 0:
            place = (number - 1 - skipped) * CHUNK + CHUNK // 2
            around = np.abs(samples[max(place - 4_000, 0) : place + 4_000])
            assert around.max() > 0.3
            assert abs(max(place - 4_000, 0) + int(around.argmax()) - place) < WITHIN


def test_a_burst_with_the_time_of_its_sending_loses_no_word() -> None:
    """After a stall of 5 s everything comes at once, stamped as it is sent: all of it is heard all the same."""
    chunks = sent()
    burst = [replace(chunk, timestamp_ms=11_000.0 + n) for n, chunk in enumerate(chunks[300:550])]
    heard = hear([*chunks[:300], *burst, *chunks[550:]], LegAudio(Leg.CALLER, PHONE))
    samples = joined(heard)
    pulses = np.flatnonzero(np.abs(samples) > 0.3)
    assert 1 + np.count_nonzero(np.diff(pulses) > 100) == SECONDS * 50 // PULSE_EVERY
    assert len(samples) - gap_samples(heard) == len(chunks) * CHUNK


numbers = st.none() | st.integers(-5, 60) | st.integers(-(2**40), 2**40)
times = st.none() | st.floats(0, 2_000) | st.floats() | st.integers(-(10**15), 10**15)
items = st.one_of(
    st.builds(
        MediaChunk,
        leg=st.just(Leg.CALLER),
        payload=st.binary(max_size=400),
        sequence=numbers,
        timestamp_ms=times,
    ),
    st.builds(Discarded, leg=st.just(Leg.CALLER), missing_ms=st.floats(max_value=5_000), reason=st.text(max_size=5)),
)


@settings(max_examples=200)
@given(
    encoding=st.sampled_from(list(Encoding)),
    rate=st.sampled_from([8_000, 11_025, 16_000, 24_000, 48_000]),
    came=st.lists(items, max_size=40),
)
def test_garbage_raises_nothing(encoding: Encoding, rate: int, came: list[MediaChunk | Discarded]) -> None:
    """Whatever a carrier sends, nothing raises, frames follow on each other, and each gap is silent, but for those that come too late to be."""
    leg = LegAudio(Leg.CALLER, MediaFormat(encoding=encoding, sample_rate=rate), StreamClock())
    heard = hear(came, leg)
    samples = joined(heard)
    loud = 0
    for value in heard:
        if isinstance(value, Gap):
            assert value.samples > 0
            loud += bool(samples[value.position : value.position + value.samples].any())
    counts = leg.counts
    assert loud <= counts.late
    assert counts.received == sum(isinstance(item, MediaChunk) for item in came)
    assert counts.corrupt + counts.late + counts.duplicate + counts.stray <= counts.received


@settings(max_examples=50)
@given(
    seed=st.integers(0, 2**32),
    share=st.floats(0, 0.5),
    frame_ms=st.sampled_from([10, 20, 30, 60, 100]),
    first=st.sampled_from([1, 65_500]),
)
def test_a_time_is_the_carriers_time(seed: int, share: float, frame_ms: int, first: int) -> None:
    """At every moment, however much is lost, a chunk lies within a frame of the place its timestamp names."""
    rng = np.random.default_rng(seed)
    leg = LegAudio(Leg.CALLER, MediaFormat(encoding=Encoding.L16_LE, sample_rate=SAMPLE_RATE))
    came = [n for n in range(100) if n == 0 or rng.random() >= share]
    heard = hear(
        [
            MediaChunk(
                leg=Leg.CALLER,
                payload=np.full(16 * frame_ms, n + 1, "<i2").tobytes(),
                sequence=(first + n) % 65_536,
                timestamp_ms=float(n * frame_ms),
            )
            for n in came
        ],
        leg,
    )
    said = np.round(joined(heard) * 32_768).astype(int)
    for n in came:
        assert abs(int(np.flatnonzero(said == n + 1)[0]) - n * frame_ms * 16) < max(frame_ms, 20) * 16
