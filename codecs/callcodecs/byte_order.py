"""L16 whose byte order nobody has said: found by listening.

Samples of speech lie close to their neighbours. Read in the wrong order, their noisy low bytes become the high ones,
and neighbours have nothing to do with each other: what was 0.1 to 0.8 times as rough as it is loud becomes 1.3 times.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from callcodecs.decoder import Pcm
from callcodecs.l16 import ByteOrder, L16Decoder

AUDIBLE: Final = 64
"""Mean absolute sample, of 32768. Below it there is no more than a line's noise, which is rough in either order."""
SURE_S: Final = 0.5
"""After so much audible audio the order stands."""

_DTYPES: Final[dict[ByteOrder, str]] = {"little": "<i2", "big": ">i2"}


class UnknownOrderDecoder:
    """L16 of either byte order. Payloads are decoded at once, in the order that fits best what was heard so far."""

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self._decoder = L16Decoder("little", sample_rate)
        self._evidence: dict[ByteOrder, _Evidence] = {order: _Evidence() for order in _DTYPES}
        self._listened = 0

    @property
    def order(self) -> ByteOrder:
        """The order that payloads are read in, as far as is known now."""
        return self._decoder.order

    def count(self, payload: bytes) -> int:
        return self._decoder.count(payload)

    def decode(self, payload: bytes) -> Pcm:
        """Any bytes are samples, so it never raises."""
        if self._listened < SURE_S * self.sample_rate:
            self._decoder.order = self._likely(self._decoder.held + payload)
        return self._decoder.decode(payload)

    def lost(self) -> None:
        """The half sample's other half is gone, and payloads begin with whole samples again."""
        self._decoder.lost()

    def _likely(self, data: bytes) -> ByteOrder:
        count = len(data) // 2
        if not count:
            return self.order
        here = {order: _Evidence.of(np.frombuffer(data, dtype, count)) for order, dtype in _DTYPES.items()}
        quieter = min(here, key=lambda order: here[order].loudness)
        if here[quieter].loudness >= AUDIBLE * count:
            self._listened += count
            for order, heard in here.items():
                self._evidence[order].add(heard)
        if not self._listened:
            return quieter  # a line's noise is the quiet one of the two readings
        return min(self._evidence, key=lambda order: self._evidence[order].roughness)


class _Evidence:
    """How a run of samples reads in one order: the sums of |x[n]| and of |x[n] − x[n−1]|."""

    def __init__(self, loudness: float = 0.0, change: float = 0.0) -> None:
        self.loudness = loudness
        self.change = change

    @classmethod
    def of(cls, samples: Pcm) -> _Evidence:
        wide = samples.astype(np.int32)
        return cls(float(np.abs(wide).sum()), float(np.abs(np.diff(wide)).sum()))

    @property
    def roughness(self) -> float:
        return self.change / self.loudness if self.loudness else 0.0

    def add(self, other: _Evidence) -> None:
        self.loudness += other.loudness
        self.change += other.change
