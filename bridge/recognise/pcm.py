"""Samples in 16 bits: half of what they take in memory, for what waits or travels. Telephone audio had no more."""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from bridge.model.frame import Samples

Pcm16: TypeAlias = npt.NDArray[np.int16]
"""Shape (n,), little-endian, full scale ±32767."""

FULL_SCALE: Final = 32767.0


def to_pcm(samples: Samples) -> Pcm16:
    """What is beyond full scale is as loud as can be."""
    pcm: Pcm16 = np.clip(np.rint(samples * FULL_SCALE), -FULL_SCALE, FULL_SCALE).astype("<i2")
    return pcm


def from_pcm(pcm: Pcm16) -> Samples:
    return pcm.astype(np.float32) / np.float32(FULL_SCALE)
