"""Where two speak at once on one leg, and which words were said meanwhile. No model, no clock."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from bridge.model.frame import from_ms, to_ms
from bridge.model.words import Segment, Word
from bridge.speakers.windows import OverlapWindow

Span: TypeAlias = tuple[int, int]
"""Samples, the second behind the last."""

OtherAt: TypeAlias = Callable[[float], str | None]
"""Who else speaks nearest to so many ms of the leg."""

WINDOW: Final = from_ms(10_000)
HOP: Final = from_ms(5_000)
"""What is listened to at a time. The ends of a window are heard again in the middle of its neighbours."""

LIKELY: Final = 0.5
SHORTEST: Final = from_ms(250)
"""How sure, and for how long: measured, docs/speakers.md."""


def spans_of(likely: npt.NDArray[np.float32], *, first_middle: int, frame: int) -> list[Span]:
    """Where two speak at once, by how likely that is in each frame: shape (frames,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], likely > LIKELY, [False]]).astype(np.int8)))
    places = [first_middle - frame // 2 + int(edge) * frame for edge in edges]
    return [(start, end) for start, end in zip(places[::2], places[1::2], strict=True) if end - start >= SHORTEST]


class Overlaps:
    """One leg's. Positions are samples of the leg."""

    def __init__(self) -> None:
        self._spans: list[Span] = []
        """In order, none touching another."""
        self._stretch = -1

    def add(self, window: OverlapWindow, spans: Sequence[Span]) -> int:
        """What was found in a window, in samples of it; since where that says something new."""
        fresh = window.start + ((WINDOW - HOP) // 2 if window.stretch == self._stretch else 0)
        self._stretch = window.stretch
        while self._spans and self._spans[-1][1] > fresh:
            start, _ = self._spans.pop()
            if start < fresh:
                self._spans.append((start, fresh))
        for begin, behind in spans:
            start, end = max(fresh, window.start + begin), min(window.end, window.start + behind)
            if end > start:
                joins = bool(self._spans) and self._spans[-1][1] >= start
                self._spans.append((self._spans.pop()[0] if joins else start, end))
        return fresh

    def spans(self) -> Sequence[Span]:
        """All there are, in order."""
        return self._spans

    def shared_ms(self, word: Word) -> int:
        """How much of a word is said while somebody else speaks, too."""
        start, end = from_ms(word.start_ms), from_ms(word.end_ms)
        at = max(0, bisect_right(self._spans, (start, start)) - 1)
        shared = 0
        while at < len(self._spans) and self._spans[at][0] < end:
            shared += max(0, min(end, self._spans[at][1]) - max(start, self._spans[at][0]))
            at += 1
        return to_ms(shared)


def marked(piece: Segment, overlaps: Overlaps, other_at: OtherAt) -> Segment:
    """The segment, its words marked with who speaks during the half of them or more; where that has no name, not."""
    words = tuple(_marked(word, overlaps, other_at) for word in piece.words)
    return piece if words == piece.words else replace(piece, words=words)


def _marked(word: Word, overlaps: Overlaps, other_at: OtherAt) -> Word:
    shared = overlaps.shared_ms(word)
    together = shared > 0 and 2 * shared >= word.end_ms - word.start_ms
    other = other_at((word.start_ms + word.end_ms) / 2) if together else None
    return word if other == word.overlap else replace(word, overlap=other)
