"""Who speaks when, as far as windows tell: the nearest window's middle decides."""

from __future__ import annotations

from bisect import bisect_left

from bridge.speakers.windows import VoiceWindow


class Timeline:
    """One leg's windows, numbered from 0 in the order they were heard. Positions are samples."""

    def __init__(self) -> None:
        self._middles: list[int] = []
        self._numbers: list[int] = []
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
        place = bisect_left(self._middles, position)
        near = [at for at in (place - 1, place) if 0 <= at < len(self._middles)]
        if not near:
            return None
        return self._numbers[min(near, key=lambda at: abs(self._middles[at] - position))]
