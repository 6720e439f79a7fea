"""The streaming resampler: one signal, however it is cut."""

from __future__ import annotations

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from callcodecs.resample import Resampler

RATES = [8_000, 11_025, 12_000, 22_050, 24_000, 32_000, 44_100, 48_000]


def noise(count: int) -> np.ndarray:
    return (np.random.default_rng(7).standard_normal(count) * 0.1).astype(np.float32)


def speech_band(rate: int, seconds: float = 1.0) -> np.ndarray:
    """Tones up to the 3.4 kHz at which a telephone line ends, fading in and out."""
    seconds_at = np.arange(int(rate * seconds)) / rate
    tones = sum(np.sin(2 * np.pi * hertz * seconds_at + hertz) for hertz in (200, 440, 1000, 2100, 3300))
    return (tones * 0.1 * np.hanning(len(seconds_at))).astype(np.float32)


def in_pieces(samples: np.ndarray, rate: int, sizes: list[int]) -> np.ndarray:
    resampler = Resampler(rate, 16_000)
    out, at, turn = [], 0, 0
    while at < len(samples):
        size = sizes[turn % len(sizes)]
        out.append(resampler.push(samples[at : at + size]))
        at, turn = at + size, turn + 1
    return np.concatenate([*out, resampler.flush()])


@settings(max_examples=40)
@given(rate=st.sampled_from(RATES), sizes=st.lists(st.integers(0, 2_000), min_size=1, max_size=12).filter(any))
def test_any_cutting_equals_one_shot(rate: int, sizes: list[int]) -> None:
    """Frames of random sizes give, sample for sample, what the whole signal gives at once."""
    samples = noise(6_000)
    whole = in_pieces(samples, rate, [len(samples)])
    assert np.allclose(in_pieces(samples, rate, sizes), whole, atol=1e-6)


@pytest.mark.parametrize("rate", RATES)
def test_agrees_with_soxrs_best(rate: int) -> None:
    """Within the telephone band the result is that of soxr's one-shot VHQ: in place, and the same to 60 dB."""
    samples = speech_band(rate)
    ours = np.fft.rfft(in_pieces(samples, rate, [rate // 50]))
    reference = np.fft.rfft(soxr.resample(samples, rate, 16_000, quality="VHQ"))
    turns = np.arange(len(ours)) / 16_000
    strong = np.abs(reference) > np.abs(reference).max() / 10
    late = -np.angle(ours[strong] / reference[strong]) / (2 * np.pi * turns[strong])
    assert np.abs(late).max() < 0.5  # samples, at every tone
    error = ours * np.exp(2j * np.pi * turns * late.mean()) - reference
    assert 10 * np.log10(np.mean(np.abs(error) ** 2) / np.mean(np.abs(reference) ** 2)) < -60


@pytest.mark.parametrize("rate", RATES)
def test_no_drift(rate: int) -> None:
    """Three minutes in are three minutes out, to the sample, and the lag on the way stays bounded."""
    resampler = Resampler(rate, 16_000)
    second = np.zeros(rate, dtype=np.float32)
    total = 0
    for _ in range(180):
        total += len(resampler.push(second))
        assert 0 <= resampler.pending <= 0.12 * 16_000
    assert abs(total + len(resampler.flush()) - 180 * 16_000) <= 1


def test_no_click_at_frame_edges() -> None:
    """A steady tone in 20 ms frames keeps its curvature at the edges as anywhere."""
    tone = np.sin(2 * np.pi * 440 * np.arange(16_000) / 8_000).astype(np.float32)
    heard = in_pieces(tone, 8_000, [160])[1_000:-1_000]
    bend = np.abs(np.diff(heard, 2))
    assert bend.max() < 1.05 * (2 * np.pi * 440 / 16_000) ** 2


@pytest.mark.parametrize(("rate", "most_ms"), [(8_000, 30.5), (24_000, 40), (48_000, 40)])
def test_lag_is_what_the_table_says(rate: int, most_ms: float) -> None:
    """What the module promises of each rate's lag holds for 20 ms frames."""
    resampler = Resampler(rate, 16_000)
    lags = []
    for frame in noise(rate * 4).reshape(-1, rate // 50):
        resampler.push(frame)
        lags.append(resampler.pending / 16)
    assert max(lags) <= most_ms


def test_flush_starts_anew() -> None:
    """After a flush nothing of the earlier signal is left."""
    resampler = Resampler(8_000, 16_000)
    first = np.concatenate([resampler.push(noise(1_000)), resampler.flush()])
    assert resampler.pending == 0
    assert np.array_equal(first, np.concatenate([resampler.push(noise(1_000)), resampler.flush()]))


def test_an_impossible_rate_is_refused() -> None:
    """A rate of nothing is the caller's mistake."""
    with pytest.raises(ValueError, match="rate"):
        Resampler(0, 16_000)
