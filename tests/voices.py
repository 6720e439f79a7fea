"""A stand-in for the speaker encoder: whoever speaks says words of their own loudness."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from bridge.errors import EngineError
from bridge.model.frame import Samples
from bridge.model.likeness import Likeness, Vector
from bridge.ports import Clock
from tests.engines import AUDIBLE

LIKENESS: Final = Likeness(window_ms=640, hop_ms=320, join=0.8, same=0.7, third=0.7, known=0.8, least_ms=600)

DIMENSIONS: Final = 10


def voice(number: int) -> Vector:
    """One of ten that have nothing in common."""
    return np.eye(DIMENSIONS, dtype=np.float32)[number]


def by_tens(samples: Samples) -> Vector:
    """w10 to w19 are said by voice 1, w20 to w29 by voice 2, … ; a mix where a window has several."""
    loud = np.abs(samples[np.abs(samples) > AUDIBLE])
    mixed = sum((voice(round(float(level) * 100) // 10) for level in loud[::40]), np.zeros(DIMENSIONS, np.float32))
    return mixed / max(float(np.linalg.norm(mixed)), 1e-9)


class ScriptedVoices:
    """Fills the `VoiceEncoder` port: each window takes a while on the clock."""

    likeness = LIKENESS

    def __init__(self, clock: Clock, *, takes_s: float = 0.01, answer: Callable[[Samples], Vector] = by_tens) -> None:
        self._clock = clock
        self.takes_s = takes_s
        self.answer = answer
        self.together: Callable[[Samples], Sequence[tuple[int, int]]] = lambda _: ()
        """Where two speak at once."""
        self.broken = False
        self.heard = 0

    async def embed(self, samples: Samples) -> Vector:
        await self._clock.sleep(self.takes_s)
        if self.broken:
            raise EngineError("scripted")
        self.heard += 1
        return self.answer(samples)

    async def overlaps(self, samples: Samples) -> Sequence[tuple[int, int]]:
        return self.together(samples)
