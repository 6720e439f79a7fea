"""How long a step will take: measured proportions, scaled to this machine as it is found to be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from bridge.model.frame import SAMPLE_RATE
from bridge.recognise.workers import Planned

ENCODE_S: Final = 0.0055
"""For each second of a short window, on one thread of the machine the proportions come from."""

ENCODE_GROWTH: Final = 1 / 12
"""Attention makes each second dearer by so much a second of window."""

DECODE_S: Final = 0.02
SPOKEN_S: Final = 0.015
"""For the first job of a batch, and for each second of speech that it is to put into words."""

COMPANY: Final = 0.4
"""Each further job takes so much of what one alone takes: they share the weights' way through the cache."""

CAREFUL_TIMES: Final = 3
"""As much as with one hypothesis."""

LEARNING: Final = 0.1


class Cost:
    """Predicts the seconds of one kind of step, and learns from what really passed."""

    def __init__(self, proportion: Callable[[Sequence[Planned]], float]) -> None:
        self._proportion = proportion
        self._factor = 1.0

    def predict(self, plans: Sequence[Planned]) -> float:
        """Seconds for one batch."""
        return self._factor * self._proportion(plans)

    def learn(self, plans: Sequence[Planned], seconds: float) -> None:
        """A batch took `seconds`. One slow batch does not change much."""
        found = min(max(seconds / self._proportion(plans), 0.1), 10.0)
        self._factor += LEARNING * (found - self._factor)


def encoding(plans: Sequence[Planned]) -> float:
    """One after the other: batches gain nothing."""
    return sum(ENCODE_S * plan.window_s * (1 + plan.window_s * ENCODE_GROWTH) for plan in plans)


def decoding(plans: Sequence[Planned]) -> float:
    """Together, as long as the one with most to say."""
    new_s = max(len(plan.job.samples) - plan.job.known for plan in plans) / SAMPLE_RATE
    alone = (DECODE_S + SPOKEN_S * new_s) * (CAREFUL_TIMES if any(plan.job.careful for plan in plans) else 1)
    return alone * (1 + COMPANY * (len(plans) - 1))
