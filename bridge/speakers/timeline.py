"""Who speaks when, as far as windows tell: the nearest window's middle decides."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from heapq import merge
from itertools import takewhile
from operator import itemgetter
from typing import Final

from bridge.model.frame import from_ms
from bridge.speakers.windows import VoiceWindow

REACH: Final = from_ms(15_000)
"""Who speaks at the same time as another has spoken alone within so much of it."""


class Timeline:
    """One leg's windows, numbered from 0 in the order they were heard. Positions are samples."""

    def __init__(self) -> None:
        self._middles = array("q")
        self._numbers = array("i")
        self.end = 0
        """Behind the last sample of any window."""

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, window: VoiceWindow) -> int:
        """How much of it, in samples, no window before had."""
        fresh = window.end - max(window.start, self.end)
        place = bisect_left(self._middles, window.middle)
        self._middles.insert(place, window.middle)
        self._numbers.insert(place, len(self._numbers))
        self.end = max(self.end, window.end)
        return max(0, fresh)

    def window_at(self, position: int) -> int | None:
        """The number of the window that says most about this place; None when there are none."""
        return next((number for _, number in self._outward(position)), None)

    def within_reach(self, position: int) -> Iterator[int]:
        """The numbers of windows as far away as `REACH`, the nearest first."""
        return (number for _, number in takewhile(lambda found: found[0] <= REACH, self._outward(position)))

    def _outward(self, position: int) -> Iterator[tuple[int, int]]:
        """How far away, and the number, of one window after the other."""
        place = bisect_left(self._middles, position)
        before = ((position - self._middles[at], self._numbers[at]) for at in range(place - 1, -1, -1))
        after = ((self._middles[at] - position, self._numbers[at]) for at in range(place, len(self._middles)))
        return merge(before, after, key=itemgetter(0))


class Speaking:
    """Who speaks when. Times are ms of the leg."""

    def __init__(self, timeline: Timeline, speaker_of: Callable[[int], str]) -> None:
        """`speaker_of` knows who speaks in a window, by its number."""
        self._timeline = timeline
        self._speaker_of = speaker_of

    def at(self, milliseconds: float) -> str | None:
        """None before anybody has been heard."""
        window = self._timeline.window_at(from_ms(milliseconds))
        return None if window is None else self._speaker_of(window)

    def other(self, milliseconds: float, than: str | None) -> str | None:
        """Who else speaks nearest to there; None when nobody does within reach."""
        heard = map(self._speaker_of, self._timeline.within_reach(from_ms(milliseconds)))
        return next((speaker for speaker in heard if speaker != than), None)
