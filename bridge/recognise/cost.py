"""How long a batch will take: measured proportions, scaled to this machine as it is found to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, TypeVar

from bridge.ports import DecodeJob

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


class Planned(Protocol):
    """A job as the decoder will run it."""

    @property
    def job(self) -> DecodeJob: ...

    @property
    def window_s(self) -> int:
        """Seconds of audio, padding included."""
        ...

    @property
    def previous_tokens(self) -> int:
        """Tokens in front of the start token. Plans that agree in it can be decoded together."""
        ...


P = TypeVar("P", bound=Planned)


class Cost:
    """Predicts seconds, and learns from what really passed."""

    def __init__(self) -> None:
        self._factor = 1.0

    def predict(self, plans: Sequence[Planned]) -> float:
        """Seconds for one batch."""
        return self._factor * _proportion(plans)

    def learn(self, plans: Sequence[Planned], seconds: float) -> None:
        """A batch took `seconds`. One slow batch does not change much."""
        found = min(max(seconds / _proportion(plans), 0.1), 10.0)
        self._factor += LEARNING * (found - self._factor)


def _proportion(plans: Sequence[Planned]) -> float:
    encode = sum(ENCODE_S * plan.window_s * (1 + plan.window_s * ENCODE_GROWTH) for plan in plans)
    decode = DECODE_S + (len(plans) - 1) * DECODE_MORE_S
    return (encode + decode) * (CAREFUL_TIMES if any(plan.job.careful for plan in plans) else 1)
