"""Where speech begins, pauses and ends, on one leg. Positions are samples at 16 kHz since the leg's first."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from bridge.model.frame import AudioFrame, Samples, from_ms
from bridge.model.speech import Speech, SpeechAudio, SpeechBegan, SpeechOver, SpeechPaused, SpeechWentOn
from bridge.speech.framing import Framer
from bridge.speech.gate import Gate, is_silent
from bridge.speech.silero import WINDOW, Silero


class VoiceModel(Protocol):
    """What decides; `silero.Silero`, or a test's script."""

    def reset(self) -> None: ...

    def probabilities(self, windows: Samples) -> npt.NDArray[np.float32]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmenterOptions:
    """When speech counts as begun, paused and over."""

    start_probability: float = 0.4
    stop_probability: float = 0.25
    start_ms: int = 64
    """Speech for so long is a beginning; a click is not."""
    pre_roll_ms: int = 320
    pause_ms: int = 200
    hangover_ms: int = 500


TOGETHER: Final = 4
"""Windows asked about in one go while somebody speaks and the gate stays open; asking one by one costs half as much
again. As soon as the gate shuts, or while nobody speaks, nothing waits."""


HISS: Final = np.random.default_rng(0).normal(0, 0.001, (31, WINDOW)).astype(np.float32)
"""60 dB below full scale, as wide as the model hears. A telephone leaves the upper half of that empty, and there Silero
hesitates: a voice out of silence is found 81 ms (p95 126) behind its first sound with it, 105 ms (p95 375) without.
"""


class _State(Enum):
    QUIET = auto()
    SPEAKING = auto()
    PAUSED = auto()


class Segmenter:
    """One leg's frames in, its stretches of speech out. Silence costs a level test a window, nothing more."""

    def __init__(self, options: SegmenterOptions, *, model: VoiceModel | None = None, gate: Gate | None = None) -> None:
        self._options = options
        self._model = model or Silero()
        self._gate = gate or Gate()
        self.alert = False
        """Somebody waits for the first sound: `HISS` is put under what is heard."""
        self._framer = Framer(WINDOW)
        self._state = _State.QUIET
        self._position = 0
        """Of the next window."""
        self._pre_roll: deque[Samples] = deque(maxlen=max(1, from_ms(options.pre_roll_ms) // WINDOW))
        self._asleep = True
        """Silero is not running: the gate has been shut for a while."""
        self._shut = 0
        """Windows for which the gate has been shut."""
        self._undecided: list[Samples] = []
        """Windows that Silero has not been asked about."""
        self._run = 0
        """Speech windows in a row, while quiet."""
        self._voice_end = 0

    def push(self, frame: AudioFrame) -> list[Speech]:
        """What this frame shows. Frames come in order and without holes."""
        windows = self._framer.push(frame.samples)
        if self._asleep and self._state is _State.QUIET and is_silent(windows):
            self._pre_roll.extend(windows)
            self._position += windows.size
            return []
        return [found for window in windows for found in self._advance(window)]

    def flush(self) -> list[Speech]:
        """The leg ended: what is held, and the end of a stretch that was still open."""
        return [*(speech for window in self._framer.flush() for speech in self._advance(window)), *self.cut()]

    def cut(self) -> list[Speech]:
        """End a stretch that is open; the leg goes on. Less than a window is still held, for what follows."""
        out = list(self._decide())
        if self._state is not _State.QUIET:
            if self._state is _State.SPEAKING:
                self._voice_end = self._position
            out.append(SpeechOver(self._voice_end))
            self._state = _State.QUIET
            self._run = 0
            self._pre_roll.clear()
        return out

    def _advance(self, window: Samples) -> Iterable[Speech]:
        """One window at a time, however long the frame: what is found must not hang on how the audio was cut."""
        loud = self._gate.maybe_speech(window)
        if self._state is _State.QUIET and self._asleep and not loud:
            self._pre_roll.append(window)
            self._position += WINDOW
            return
        self._undecided.append(window)
        self._shut = 0 if loud else self._shut + 1
        if self._state is not _State.SPEAKING or not loud or len(self._undecided) >= TOGETHER:
            yield from self._decide()

    def _decide(self) -> Iterable[Speech]:
        """Ask Silero about the windows that wait for its word, and go on by it."""
        if not self._undecided:
            return
        windows = np.stack(self._undecided)
        self._undecided.clear()
        for window, probability in zip(windows, self._ask(windows), strict=True):
            yield from self._step(window, probability)
            self._position += WINDOW

    def _ask(self, windows: Samples) -> npt.NDArray[np.float32]:
        """Silero's word on each window. It wakes with the pre-roll in its ear, and sleeps after a second of quiet."""
        if self._asleep:
            self._asleep = False
            self._model.reset()
            if self._pre_roll:
                self._model.probabilities(np.stack(self._pre_roll))
        if self.alert:
            first = self._position // WINDOW
            windows = windows + HISS[np.arange(first, first + len(windows)) % len(HISS)]
        probabilities = self._model.probabilities(windows)
        if self._shut * WINDOW >= from_ms(1000) and self._state is _State.QUIET:
            self._asleep = True
        return probabilities

    def _step(self, window: Samples, probability: float) -> Iterable[Speech]:
        if self._state is _State.QUIET:
            yield from self._while_quiet(window, probability)
            return
        yield SpeechAudio(self._position, window)
        end = self._position + WINDOW
        if probability >= (
            self._options.stop_probability if self._state is _State.SPEAKING else self._options.start_probability
        ):
            if self._state is _State.PAUSED:
                yield SpeechWentOn(self._position)
                self._state = _State.SPEAKING
            self._voice_end = end
        elif self._state is _State.SPEAKING and end - self._voice_end >= from_ms(self._options.pause_ms):
            self._state = _State.PAUSED
            yield SpeechPaused(self._voice_end)
        elif self._state is _State.PAUSED and end - self._voice_end >= from_ms(self._options.hangover_ms):
            self._state = _State.QUIET
            self._run = 0
            self._pre_roll.clear()
            yield SpeechOver(self._voice_end)

    def _while_quiet(self, window: Samples, probability: float) -> Iterable[Speech]:
        self._pre_roll.append(window)
        self._run = self._run + 1 if probability >= self._options.start_probability else 0
        if self._run * WINDOW < from_ms(self._options.start_ms):
            return
        end = self._position + WINDOW
        start = end - len(self._pre_roll) * WINDOW
        voice = end - self._run * WINDOW
        self._state = _State.SPEAKING
        self._voice_end = end
        yield SpeechBegan(start, voice)
        yield SpeechAudio(start, np.concatenate(self._pre_roll))
        self._pre_roll.clear()
