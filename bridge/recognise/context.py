"""What was said before, as audio and as text: context that a decode of cut speech needs to get it right."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bridge.model.frame import Samples, from_ms

GAP: Final = from_ms(300)
"""Silence put between stretches of speech that are joined, samples."""

PREVIOUS_CHARACTERS: Final = 300
"""More than the tokens of previous text a decode may carry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One stretch of speech and its words."""

    samples: Samples
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Speech to decode behind earlier speech whose text is known."""

    samples: Samples
    offset: int
    """Where the new speech begins in `samples`."""
    prefix_text: str = ""
    previous_text: str = ""

    @property
    def said_before(self) -> str:
        """All of the context's text."""
        return f"{self.previous_text} {self.prefix_text}".strip()


class Context:
    """The last stretches of one leg, as many as fit a window."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._said: deque[Said] = deque()
        self._length = 0
        self._before = ""

    def add(self, said: Said) -> None:
        """The newest stretch; the oldest make room for it."""
        if not said.text:
            return
        self._said.append(said)
        self._length += len(said.samples) + GAP
        while self._length > self._longest:
            oldest = self._said.popleft()
            self._length -= len(oldest.samples) + GAP
            self._before = f"{self._before} {oldest.text}"[-PREVIOUS_CHARACTERS:]

    def window(self, samples: Samples, room: int, *, previous: int = PREVIOUS_CHARACTERS) -> Window:
        """`samples` behind as much earlier speech as fits into `room` samples; `previous` characters of text before."""
        taken: list[Said] = []
        for said in reversed(self._said):
            room -= len(said.samples) + GAP
            if room < 0:
                break
            taken.insert(0, said)
        left = [said.text for said in list(self._said)[: len(self._said) - len(taken)]]
        audio = joined([*(said.samples for said in taken), samples])
        return Window(
            samples=audio,
            offset=len(audio) - len(samples),
            prefix_text=" ".join(said.text for said in taken),
            previous_text=" ".join([self._before, *left])[-previous:].strip() if previous else "",
        )


def joined(runs: Sequence[Samples]) -> Samples:
    """Runs of samples one behind the other, `GAP` of silence between."""
    quiet = np.zeros(GAP, np.float32)
    parts = [part for run in runs for part in (quiet, run)][1:]
    return np.concatenate(parts) if parts else quiet[:0]
