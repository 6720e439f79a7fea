"""How the last second of a voice went: did it fall, fade, slow down? Pure; plain numpy, some 1.5 ms a call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from bridge.model.frame import SAMPLE_RATE, Samples, from_ms

HEARD: Final = from_ms(1500)
"""What is looked at, up to where the voice stopped."""
LAST: Final = 20
"""Frames that are the end of it: 200 ms."""

FRAME: Final = from_ms(40)
HOP: Final = from_ms(10)
LOWEST_HZ: Final = 70
HIGHEST_HZ: Final = 400
VOICED: Final = 0.45
"""Autocorrelation at the pitch's lag, as a share of the frame's energy, above which a frame is voiced."""
PADDED: Final = FRAME * 3 // 2
"""Samples of a transform: a frame and the longest lag, so that nothing wraps around, and a length of small factors."""
OCTAVE_COST: Final = 0.03
"""Taken off a lag's share for each octave: twice the lag fits as well as the pitch's own (Boersma 1993)."""
FLOOR_DB: Final = -70.0
MOST_RISE_DB: Final = 3.0
MOST_FALL_DB: Final = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prosody:
    """Of the last second and a half before a pause. Zero where there was too little voice to tell."""

    pitch_fall: float = 0.0
    """Semitones by which the last voiced 200 ms lie below the median before; negative: it rose."""
    energy_fall: float = 0.0
    """Decibels by which the last 200 ms lie below the mean before."""
    last_sound_s: float = 0.0
    """Length of the last voiced run: a drawn-out last syllable."""


def prosody(samples: Samples) -> Prosody:
    """`samples` end where the voice stopped; at 16 kHz, any length, the last `HEARD` count."""
    samples = samples[-HEARD:]
    if len(samples) < FRAME + HOP:
        return Prosody()
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP]
    energy = np.maximum(10 * np.log10(np.square(frames).mean(axis=1) + 1e-12), FLOOR_DB)
    lags, strength = _pitch_lags(frames)
    voiced = (strength > VOICED) & (energy > energy.max() - 30)
    return Prosody(
        pitch_fall=_pitch_fall(lags, voiced),
        energy_fall=_energy_fall(energy),
        last_sound_s=_last_run(voiced) * HOP / SAMPLE_RATE,
    )


def _pitch_lags(frames: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The lag with the highest autocorrelation in the range of voices, and that, for each frame."""
    centred = frames - frames.mean(axis=1, keepdims=True)
    spectrum = np.fft.rfft(centred, PADDED, axis=1)
    correlation = np.fft.irfft(np.square(spectrum.real) + np.square(spectrum.imag), PADDED, axis=1)
    shortest, longest = SAMPLE_RATE // HIGHEST_HZ, SAMPLE_RATE // LOWEST_HZ
    lags = np.arange(shortest, longest)
    shares = correlation[:, shortest:longest] / (correlation[:, :1] + 1e-9) * (FRAME / (FRAME - lags))
    best = (shares - OCTAVE_COST * np.log2(lags / shortest)).argmax(axis=1)
    return best + shortest, shares[np.arange(len(best)), best]


def _energy_fall(energy: npt.NDArray[np.float64]) -> float:
    """Bounded: the silence before a short word makes its beginning look quieter than it was."""
    if len(energy) <= LAST:
        return 0.0
    return float(np.clip(energy[:-LAST].mean() - energy[-LAST:].mean(), -MOST_RISE_DB, MOST_FALL_DB))


def _pitch_fall(lags: npt.NDArray[np.int64], voiced: npt.NDArray[np.bool_]) -> float:
    places = np.flatnonzero(voiced)
    if len(places) < 2 * LAST:
        return 0.0
    last = places[-LAST:]
    before = places[:-LAST]
    fall = 12 * np.log2(np.median(lags[last]) / np.median(lags[before]))
    return float(np.clip(fall, -12, 12))


def _last_run(voiced: npt.NDArray[np.bool_]) -> int:
    """Frames in the last run of voiced ones, holes of two bridged."""
    places = np.flatnonzero(voiced)
    if not len(places):
        return 0
    breaks = np.flatnonzero(np.diff(places) > 3)
    return int(places[-1] - places[breaks[-1] + 1 if len(breaks) else 0]) + 1
