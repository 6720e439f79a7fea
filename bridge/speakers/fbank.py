"""Log-mel features as Kaldi computes them, which speaker encoders are trained on.

25 ms windows every 10 ms, Povey's window, pre-emphasis 0.97, 80 bands from 20 Hz to 8 kHz (kaldi-asr/kaldi,
`src/feat/feature-fbank.cc`, `mel-computations.cc`).
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from bridge.model.frame import SAMPLE_RATE, Samples

WINDOW: Final = 400
HOP: Final = 160
BANDS: Final = 80

_FFT: Final = 512
_LOWEST_HZ: Final = 20.0
_PRE_EMPHASIS: Final = 0.97
_FLOOR: Final = float(np.finfo(np.float32).eps)

Features = npt.NDArray[np.float32]
"""Shape (frames, 80)."""


def fbank(samples: Samples) -> Features:
    """The features of every whole window: shape (n,) at 16 kHz in, (max(0, 1 + (n - 400) // 160), 80) out."""
    if len(samples) < WINDOW:
        return np.zeros((0, BANDS), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    frames = frames - frames.mean(axis=1, keepdims=True)
    before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    frames = (frames - _PRE_EMPHASIS * before) * _window()
    power = np.abs(np.fft.rfft(frames, _FFT)[:, : _FFT // 2]) ** 2
    bands: Features = np.log(np.maximum(power.astype(np.float32) @ _bands(), _FLOOR))
    return bands


@cache
def _window() -> Samples:
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / (WINDOW - 1))
    return (hann**0.85).astype(np.float32)


@cache
def _bands() -> Features:
    """Triangles that overlap by half on the mel scale: shape (256, 80)."""
    edges = np.linspace(_mel(_LOWEST_HZ), _mel(SAMPLE_RATE / 2), BANDS + 2)
    bins = _mel(np.arange(_FFT // 2) * SAMPLE_RATE / _FFT)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


def _mel(hertz: npt.ArrayLike) -> npt.NDArray[np.float64]:
    return 1127.0 * np.log1p(np.asarray(hertz, np.float64) / 700.0)
