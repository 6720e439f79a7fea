"""One stretch of one leg's speech while it is being heard."""

from __future__ import annotations

import numpy as np

from bridge.model.frame import Samples, from_ms

TRAIL = from_ms(160)
"""Silence kept behind the voice: a last consonant is quieter than a VAD's threshold."""

LOUDNESS = from_ms(40)
"""Length of the pieces compared when the quietest place is looked for."""


class Utterance:
    """Samples from `start` on, without holes, and where the voice in them stopped."""

    def __init__(self, start: int, voice: int, *, number: int = 0) -> None:
        self.number = number
        """As it is told; 0 until that is known."""
        self.start = start
        self.voice = voice
        """Where the voice itself was first found; `start` is earlier by the pre-roll."""
        self.paused: int | None = None
        """Where the voice stopped, while it is silent."""
        self.over = False
        self.goes_on = False
        """Cut off from speech that has not ended."""
        self._runs: list[Samples] = []
        self._length = 0

    @property
    def end(self) -> int:
        """Behind the last sample heard."""
        return self.start + self._length

    def hear(self, samples: Samples) -> None:
        self._runs.append(samples)
        self._length += len(samples)

    def audio(self, start: int, end: int) -> Samples:
        """Samples between two positions, as far as they were heard."""
        if len(self._runs) > 1:
            self._runs = [np.concatenate(self._runs)]
        whole = self._runs[0] if self._runs else np.empty(0, np.float32)
        return whole[max(0, start - self.start) : max(0, end - self.start)]

    def spoken(self) -> Samples:
        """The utterance up to where the voice stopped, and a little more."""
        return self.audio(self.start, self.voice_end + TRAIL)

    @property
    def voice_end(self) -> int:
        """Where the voice stopped, or the end while it goes on."""
        return self.end if self.paused is None else self.paused

    def quietest(self, start: int, end: int) -> int:
        """The position between two others where cutting hurts least."""
        run = self.audio(start, end)
        pieces = run[: len(run) - len(run) % LOUDNESS].reshape(-1, LOUDNESS)
        if not len(pieces):
            return end
        return start + int(np.argmin(np.square(pieces).mean(axis=1))) * LOUDNESS + LOUDNESS // 2

    def cut(self, position: int, *, number: int = 0) -> Utterance:
        """End this one at `position`; what lies behind it goes on as an utterance of its own."""
        rest = self.behind(position)
        rest.number = number
        kept = self.audio(self.start, position)
        self._runs, self._length = [kept], len(kept)
        self.paused = position
        self.over = self.goes_on = True
        return rest

    def behind(self, position: int) -> Utterance:
        """What of this one lies behind `position`, ending as it does."""
        rest = Utterance(position, position, number=self.number)
        rest.hear(self.audio(position, self.end))
        rest.paused, rest.over, rest.goes_on = self.paused, self.over, self.goes_on
        return rest
