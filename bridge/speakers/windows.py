"""Stretches of speech cut into the windows that a speaker encoder hears. Positions are samples of the leg."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import numpy as np

from bridge.model.frame import Samples, from_ms
from bridge.model.likeness import Likeness
from bridge.model.speech import Speech, SpeechAudio, SpeechBegan, SpeechOver, SpeechPaused, SpeechWentOn

SHORTEST: Final = from_ms(400)
"""Less says nothing about a voice."""

UNHEARD: Final = from_ms(166)
"""The end of a stretch is heard once more when more than this of it was not."""

PATIENCE: Final = from_ms(250)
"""A window waits so long for word that somebody has fallen silent inside it: pauses are noticed late."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SpeechWindow:
    """Speech from `start` to before `end`, in the stretch that began at `stretch`."""

    start: int
    end: int
    stretch: int
    samples: Samples

    @property
    def middle(self) -> int:
        return (self.start + self.end) // 2


class VoiceWindow(SpeechWindow):
    """In which a voice is heard."""


class OverlapWindow(SpeechWindow):
    """In which it is heard whether two speak at once."""


AnyWindow = TypeVar("AnyWindow", bound=SpeechWindow)


def voice_windows(likeness: Likeness) -> Windows[VoiceWindow]:
    """As long as the encoder wants them."""
    return Windows(VoiceWindow, window=likeness.window, hop=likeness.hop)


class Windows(Generic[AnyWindow]):
    """One leg. Windows overlap; the last of a stretch ends where the voice does."""

    def __init__(self, kind: type[AnyWindow], *, window: int, hop: int) -> None:
        """`window`, `hop`: samples."""
        self._kind = kind
        self._window = window
        self._hop = hop
        self._held: list[Samples] = []
        self._begin = self._end = 0
        """Of `_held`."""
        self._stretch = 0
        self._next = 0
        """Where the next window begins."""
        self._covered = 0
        """The end of the last window."""
        self._paused = False

    def push(self, speech: Sequence[Speech]) -> list[AnyWindow]:
        """The windows that these complete."""
        return [window for item in speech for window in self._take(item)]

    def _take(self, item: Speech) -> Iterator[AnyWindow]:
        match item:
            case SpeechBegan(position, voice):
                self._held, self._begin, self._end = [], position, position
                self._stretch = self._next = self._covered = voice
                self._paused = False
            case SpeechAudio(_, samples):
                self._held.append(samples)
                self._end += len(samples)
                yield from self._full()
            case SpeechPaused():
                self._paused = True
            case SpeechWentOn():
                self._paused = False
                yield from self._full()
            case SpeechOver(position):
                yield from self._last(position)

    def _full(self) -> Iterator[AnyWindow]:
        while not self._paused and self._end >= self._next + self._window + PATIENCE:
            yield self._cut(self._next, self._next + self._window)
            self._next += self._hop
            self._forget(self._next - self._hop)

    def _forget(self, before: int) -> None:
        """The last window of a stretch may begin a hop before the next one would."""
        gone = max(0, before - self._begin)
        self._held, self._begin = [self._joined()[gone:]], self._begin + gone

    def _joined(self) -> Samples:
        if len(self._held) > 1:
            self._held = [np.concatenate(self._held)]
        return self._held[0]

    def _last(self, end: int) -> Iterator[AnyWindow]:
        """What no window has heard yet, with what comes before it if it is short."""
        while end >= self._next + self._window:
            yield self._cut(self._next, self._next + self._window)
            self._next += self._hop
        start = max(self._stretch, self._begin, end - self._window)
        if end - start >= SHORTEST and end - self._covered > UNHEARD:
            yield self._cut(start, end)

    def _cut(self, start: int, end: int) -> AnyWindow:
        self._covered = end
        samples = self._joined()[start - self._begin : end - self._begin]
        return self._kind(start=start, end=end, stretch=self._stretch, samples=samples)
