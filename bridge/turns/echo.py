"""Our own playback come back: a phone, or the line itself, returns some of what is played, later and softer.

What was heard last is compared with everything that was played up to `LONGEST` before it. The moment that fits best
explains a share of its energy: the square of their correlation, taken of differences from sample to sample, so that
a pitch alone does not fit. Speech that is explained is hidden from whoever takes turns, until something louder than a
trace is heard that is not. Where nothing was played, nothing is compared. Positions are samples at 16 kHz since the
leg's first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

import numpy as np

from bridge.model.frame import AudioFrame, Samples, from_ms
from bridge.model.speech import Speech, SpeechBegan, SpeechOver, SpeechPaused, SpeechWentOn

WINDOW: Final = from_ms(128)
"""Of what is heard."""
LONGEST: Final = from_ms(750)
"""An echo of half a second; and what is sent ahead of its time, or played later than it might be."""
ALIKE: Final = 0.4
"""A share of the energy; measured (μ-law, both ways): of 128 ms of another voice, 0.26 at most in 99 of 100; of an echo
20 dB below what was played, 0.8 at least."""
TRACE: Final = 0.1
"""Of the loudest of an echo: what is not explained and softer than that is the line's noise."""
SOFT: Final = WINDOW * 0.003**2
"""So much energy (50 dB below full scale) is no voice that anybody has, whatever explains it."""
NEAR: Final = 8
"""Samples by which an echo's delay may wander from one look to the next."""
TOGETHER: Final = from_ms(200)
"""Playback that is told of so much late goes on from where it was: messages, not the voice, have waited."""
KEPT: Final = from_ms(5000)


class Echo:
    """One leg's."""

    def __init__(self, position: int) -> None:
        self._played: deque[tuple[int, Samples]] = deque()
        self._end = position - TOGETHER
        """Behind what has been played."""
        self._heard = np.zeros(WINDOW, np.float32)
        self._position = position
        """Behind what has been heard."""
        self._hidden: SpeechBegan | SpeechWentOn | None = None
        """Speech that is nothing but echo."""
        self._paused = False
        self._delay: int | None = None
        """Of the echo that was found last."""
        self._loudest = 0.0

    def play(self, samples: Samples) -> None:
        """What is played from now on, or behind what is being played."""
        begin = self._end if self._position - self._end < TOGETHER else self._position
        self._played.append((begin, samples))
        self._end = begin + len(samples)
        while self._end - self._played[0][0] > KEPT:
            self._played.popleft()

    def hear(self, frame: AudioFrame) -> None:
        self._position = frame.end
        self._heard = np.concatenate([self._heard, frame.samples])[-WINDOW:]

    def sift(self, speech: Sequence[Speech]) -> list[Speech]:
        """Of what the segmenter found in the last frame, what is no echo."""
        kept: list[Speech] = []
        begun = False
        for item in speech:
            if isinstance(item, SpeechBegan | SpeechWentOn):
                self._paused = False
                if self._hidden is None and self.plays:
                    self._hidden, self._loudest, begun = item, 0.0, True
            elif isinstance(item, SpeechPaused):
                self._paused = True
            elif isinstance(item, SpeechOver):
                self._hidden = None
            if self._hidden is None:
                kept.append(item)
        if self._hidden is None or self._paused or not self._is_more():
            return kept
        hidden, self._hidden = self._hidden, None
        voice = self._position - WINDOW // 2
        later = SpeechBegan(voice, voice) if isinstance(hidden, SpeechBegan) else SpeechWentOn(voice)
        return list(speech) if begun else [*kept, later]

    @property
    def plays(self) -> bool:
        """Whether something is played, or was until a moment ago."""
        return self._end > self._position - WINDOW - LONGEST

    # -- likeness --------------------------------------------------------------------------------------------------

    def _is_more(self) -> bool:
        """Whether something is heard besides the echo."""
        energy = float(np.square(self._heard).sum())
        self._loudest = max(self._loudest, energy)
        if energy < SOFT or self._explained(near=True) >= ALIKE:
            return False
        explained = self._explained(near=False)
        return explained < ALIKE and (1 - explained) * energy > max(SOFT, TRACE * self._loudest)

    def _explained(self, *, near: bool) -> float:
        """The share of what was heard last that what was played explains, at any delay or `near` the last one."""
        first, last = 0, LONGEST
        if near and self._delay is not None:
            first, last = max(0, self._delay - NEAR), min(LONGEST, self._delay + NEAR)
        heard = np.diff(self._heard)
        played = np.diff(self._last_played(WINDOW + last)[: WINDOW + last - first])
        size = 1 << (len(played) - 1).bit_length()
        product = np.fft.irfft(np.fft.rfft(played, size) * np.conj(np.fft.rfft(heard, size)), size)
        energies = np.concatenate([[0.0], np.cumsum(np.square(played), dtype=np.float64)])
        energies = energies[len(heard) :] - energies[: -len(heard)]
        shares = np.square(product[: len(energies)]) / np.maximum(energies * np.square(heard).sum(), 1e-12)
        best = int(np.argmax(shares))
        self._delay = last - best
        return float(shares[best])

    def _last_played(self, count: int) -> Samples:
        """Up to what is heard now; silence where nothing was played."""
        run = np.zeros(count, np.float32)
        start = self._position - count
        for begin, samples in self._played:
            low, high = max(begin, start), min(begin + len(samples), self._position)
            if low < high:
                run[low - start : high - start] = samples[low - begin : high - begin]
        return run
