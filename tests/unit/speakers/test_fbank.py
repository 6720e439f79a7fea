"""Log-mel features as speaker encoders want them."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.speakers.fbank import BANDS, HOP, WINDOW, fbank


def _tone(hertz: float, seconds: float = 0.5) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(int(16_000 * seconds)) / 16_000)).astype(np.float32)


@pytest.mark.parametrize("windows", [0, 1, 7])
def test_every_whole_window_has_its_features(windows: int) -> None:
    samples = np.zeros(WINDOW + (windows - 1) * HOP + HOP - 1 if windows else WINDOW - 1, np.float32)
    assert fbank(samples).shape == (windows, BANDS)


@pytest.mark.parametrize(("hertz", "band"), [(300, 11), (1000, 27), (3000, 53), (7000, 76)])
def test_a_tone_is_loudest_in_the_band_around_it(hertz: float, band: int) -> None:
    """The mel scale, 80 bands of 35.4 mel from 20 Hz: 1000 Hz is 1000 mel, (1000 − 32) / 35.4 − 1 = 26.4."""
    assert abs(int(fbank(_tone(hertz)).mean(axis=0).argmax()) - band) <= 1


def test_twice_as_loud_is_the_same_amount_more_in_every_band() -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, 8000).astype(np.float32)
    assert fbank(2 * noise) - fbank(noise) == pytest.approx(np.full((48, BANDS), np.log(4)), abs=1e-3)


def test_silence_and_a_constant_are_finite() -> None:
    assert np.isfinite(fbank(np.zeros(1600, np.float32))).all()
    assert np.isfinite(fbank(np.full(1600, 0.5, np.float32))).all()
