"""How long a batch will take: measured proportions, scaled to this machine as it is found to be."""

from __future__ import annotations

from typing import Final

ENCODE_S: Final = 0.0055
"""For each second of a short window, on one thread of the machine the proportions come from."""

ENCODE_GROWTH: Final = 1 / 12
"""Attention makes each second dearer by so much a second of window."""

DECODE_S: Final = 0.06
DECODE_MORE_S: Final = 0.03
"""For the first job of a batch, and for each further one: they share the weights' way through the cache."""

LEARNING: Final = 0.1


class Cost:
    """Predicts seconds, and learns from what really passed."""

    def __init__(self) -> None:
        self._factor = 1.0

    def predict(self, window_s: int, jobs: int) -> float:
        """Seconds for `jobs` windows of `window_s` in one batch."""
        return self._factor * _proportion(window_s, jobs)

    def learn(self, window_s: int, jobs: int, seconds: float) -> None:
        """A batch took `seconds`. One slow batch does not change much."""
        found = min(max(seconds / _proportion(window_s, jobs), 0.1), 10.0)
        self._factor += LEARNING * (found - self._factor)


def _proportion(window_s: int, jobs: int) -> float:
    encode = ENCODE_S * window_s * (1 + window_s * ENCODE_GROWTH)
    return jobs * encode + DECODE_S + (jobs - 1) * DECODE_MORE_S
