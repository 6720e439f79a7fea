"""Samples to frames: contiguous, at once when it is loud, gathered when it has long been quiet."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.audio.writer import FrameWriter
from bridge.model.frame import SAMPLE_RATE, AudioFrame
from bridge.model.stream import Leg

RATES = [8_000, 16_000, 24_000, 48_000]


def chunk(level: int, rate: int = 16_000, ms: int = 20) -> np.ndarray:
    return np.full(rate * ms // 1000, level, dtype=np.int16)


def lengths_ms(frames: list[AudioFrame]) -> list[int]:
    return [len(frame.samples) * 1000 // SAMPLE_RATE for frame in frames]


def test_speech_goes_on_at_once() -> None:
    """Every loud chunk is a frame of its own."""
    writer = FrameWriter(Leg.CALLER, 16_000)
    assert [lengths_ms(writer.write(chunk(3_000))) for _ in range(5)] == [[20]] * 5


def test_a_pause_goes_on_at_once() -> None:
    """For a second behind speech, silence is not gathered: the end of an utterance is not told late."""
    writer = FrameWriter(Leg.CALLER, 16_000)
    writer.write(chunk(3_000))
    assert [lengths_ms(writer.write(chunk(0))) for _ in range(50)] == [[20]] * 50


def test_long_silence_is_gathered() -> None:
    """After a second of silence frames are 240 ms long."""
    writer = FrameWriter(Leg.CALLER, 16_000)
    for _ in range(50):
        writer.write(chunk(100))
    assert [lengths_ms(writer.write(chunk(100))) for _ in range(24)] == [*[[]] * 11, [240]] * 2


def test_speech_lets_go_of_silence() -> None:
    """The first loud chunk goes on at once, with the silence held before it."""
    writer = FrameWriter(Leg.CALLER, 16_000)
    for _ in range(53):
        writer.write(chunk(0))
    (frame,) = writer.write(chunk(3_000))
    assert (frame.position, frame.end) == (50 * 320, 54 * 320)
    assert frame.peak == pytest.approx(3_000 / 32_768)
    assert lengths_ms(writer.write(chunk(3_000))) == [20]


def test_faint_noise_is_silence() -> None:
    """What nobody hears goes on as none, speech behind it stays where it was said."""
    noise = np.random.default_rng(0).integers(-60, 60, 8_000 * 3).astype(np.int16)
    tone = (9_000 * np.sin(np.arange(8_000) * 0.7)).astype(np.int16)
    line = np.concatenate([noise, tone])
    writer, plain = FrameWriter(Leg.CALLER, 8_000), FrameWriter(Leg.CALLER, 8_000)
    frames = [frame for run in line.reshape(-1, 160) for frame in writer.write(run)] + writer.drain()
    whole = np.concatenate([frame.samples for frame in [*plain.write(line), *plain.drain()]])
    heard = np.concatenate([frame.samples for frame in frames])
    assert sum(frame.peak == 0 for frame in frames) == 8
    assert len(heard) == len(whole)
    assert np.abs(heard - whole).max() < 0.004


@pytest.mark.parametrize("rate", RATES)
def test_full_scale(rate: int) -> None:
    """−32768 becomes −1."""
    writer = FrameWriter(Leg.CALLER, rate)
    frames = writer.write(chunk(-32_768, rate, ms=200)) + writer.drain()
    assert float(np.concatenate([frame.samples for frame in frames])[1_600]) == pytest.approx(-1, abs=1e-3)


def test_silence_is_exact_and_cheap() -> None:
    """Minutes of silence are frames of a second that share their samples."""
    writer = FrameWriter(Leg.AGENT, 8_000)
    writer.write(chunk(3_000, 8_000))
    frames = writer.silence(150 * SAMPLE_RATE + 7)
    assert frames[-1].end == 320 + 150 * SAMPLE_RATE + 7 == writer.due
    assert all(frame.peak == 0 for frame in frames[1:])
    assert all(np.shares_memory(frame.samples, frames[1].samples) for frame in frames[1:])
    assert not frames[1].samples.flags.writeable


def test_empty_samples() -> None:
    """No samples make no frame."""
    writer = FrameWriter(Leg.CALLER, 8_000)
    assert writer.write(np.zeros(0, dtype=np.int16)) == []
    assert writer.drain() == []
    assert writer.silence(0) == []


@settings(max_examples=40)
@given(
    rate=st.sampled_from([*RATES, 11_025, 44_100]),
    runs=st.lists(st.tuples(st.integers(0, 3_000), st.sampled_from([0, 100, 9_000]), st.integers(0, 999)), max_size=12),
)
def test_frames_have_no_holes(rate: int, runs: list[tuple[int, int, int]]) -> None:
    """Whatever is written, frames follow on each other, and `due` foretells where the next sample lies."""
    writer = FrameWriter(Leg.CALLER, rate)
    end = 0
    for count, level, silence in runs:
        frames = writer.write(np.full(count, level, dtype=np.int16))
        if silence:
            expected = writer.due + silence
            frames += writer.silence(silence)
            assert abs(writer.due - expected) <= 1
        for frame in frames:
            assert frame.position == end
            end = frame.end
    expected = writer.due
    for frame in writer.drain():
        assert frame.position == end
        end = frame.end
    assert abs(end - expected) <= 1
    assert abs(end - sum(count * SAMPLE_RATE / rate + silence for count, _, silence in runs)) <= len(runs) + 1
