"""How long a batch will take: measured proportions, scaled to this machine as it is found to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

ENCODE_S: Final = 0.0055
"""For each second of a short window, on one thread of the machine the proportions come from."""

ENCODE_GROWTH: Final = 1 / 12
"""Attention makes each second dearer by so much a second of window."""

DECODE_S: Final = 0.06
DECODE_MORE_S: Final = 0.03
"""For the first job of a batch, and for each further one: they share the weights' way through the cache."""

CAREFUL_TIMES: Final = 3
"""As much as with one hypothesis, in the full window."""

LEARNING: Final = 0.1


class Cost:
    """Predicts seconds, and learns from what really passed."""

    def __init__(self) -> None:
        self._factor = 1.0

    def predict(self, windows_s: Sequence[int], *, careful: bool = False) -> float:
        """Seconds for one batch of windows, each `windows_s` long."""
        return self._factor * _proportion(windows_s, careful)

    def learn(self, windows_s: Sequence[int], seconds: float, *, careful: bool = False) -> None:
        """A batch took `seconds`. One slow batch does not change much."""
        found = min(max(seconds / _proportion(windows_s, careful), 0.1), 10.0)
        self._factor += LEARNING * (found - self._factor)


def _proportion(windows_s: Sequence[int], careful: bool) -> float:
    encode = sum(ENCODE_S * window * (1 + window * ENCODE_GROWTH) for window in windows_s)
    return (encode + DECODE_S + (len(windows_s) - 1) * DECODE_MORE_S) * (CAREFUL_TIMES if careful else 1)
