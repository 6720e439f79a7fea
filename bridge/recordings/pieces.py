"""A recording cut at its silences: stretches of speech, and stretches put together to nearly full windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bridge.model.frame import AudioFrame, Samples, to_ms
from bridge.model.speech import Speech, SpeechAudio, SpeechBegan, SpeechOver
from bridge.model.stream import Leg
from bridge.model.words import Segment
from bridge.recognise.context import GAP
from bridge.recognise.hearing import CUT_WITHIN
from bridge.recognise.pace import LONGEST
from bridge.recognise.pcm import to_pcm
from bridge.recognise.settling import LONGEST as LONGEST_WINDOW
from bridge.recognise.settling import Piece
from bridge.recognise.utterance import Utterance
from bridge.speech.segmenter import Segmenter

STEP: Final = 5120
"""Samples that the segmenter gets at a time: long enough to ask Silero about ten windows at once, short enough that
a silent one is passed over."""


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Neighbouring stretches of one leg, decoded together."""

    leg: Leg
    pieces: tuple[Piece, ...]

    @property
    def start_ms(self) -> int:
        return self.pieces[0].segment.start_ms


class Cutter:
    """One leg's samples in, windows full of its speech out."""

    def __init__(
        self, leg: Leg, segmenter: Segmenter, listener: Callable[[Sequence[Speech]], None] = lambda _: None
    ) -> None:
        """`listener` is told all speech that is found, before it is cut."""
        self._leg = leg
        self._segmenter = segmenter
        self._listener = listener
        self._position = 0
        self._number = 0
        self._open: Utterance | None = None
        self._pieces: list[Piece] = []
        self._length = 0

    def push(self, samples: Samples) -> Iterator[Window]:
        """Windows that are full now."""
        for begin in range(0, len(samples), STEP):
            step = samples[begin : begin + STEP]
            frame = AudioFrame(leg=self._leg, position=self._position, samples=step)
            self._position += len(step)
            yield from self._take(self._segmenter.push(frame))

    def flush(self) -> Iterator[Window]:
        """The recording ended: what is held."""
        yield from self._take(self._segmenter.flush())
        yield from self._pass_on()

    def _take(self, found: Sequence[Speech]) -> Iterator[Window]:
        self._listener(found)
        for item in found:
            match item:
                case SpeechBegan(position, voice):
                    self._open = self._utterance(position, voice)
                case SpeechAudio(_, samples) if self._open is not None:
                    self._open.hear(samples)
                    yield from self._cut_if_long(self._open)
                case SpeechOver(position) if self._open is not None:
                    self._open.paused = position
                    yield from self._add(self._open)
                    self._open = None

    def _utterance(self, position: int, voice: int) -> Utterance:
        self._number += 1
        return Utterance(position, voice, number=self._number)

    def _cut_if_long(self, utterance: Utterance) -> Iterator[Window]:
        if utterance.end - utterance.start <= LONGEST:
            return
        place = utterance.quietest(utterance.end - CUT_WITHIN, utterance.end)
        self._number += 1
        self._open = utterance.cut(place, number=self._number)
        yield from self._add(utterance)

    def _add(self, utterance: Utterance) -> Iterator[Window]:
        piece = self._piece(utterance)
        length = len(piece) + GAP
        if self._length + length > LONGEST_WINDOW:
            yield from self._pass_on()
        self._pieces.append(piece)
        self._length += length

    def _piece(self, utterance: Utterance) -> Piece:
        """A segment whose words are still to be found."""
        segment = Segment(
            leg=self._leg,
            segment=utterance.number,
            start_ms=to_ms(utterance.voice),
            end_ms=to_ms(utterance.voice_end),
            text="",
            language="",
            confidence=0,
        )
        return Piece(segment=segment, start=utterance.start, pcm=to_pcm(utterance.spoken()))

    def _pass_on(self) -> Iterator[Window]:
        if self._pieces:
            yield Window(self._leg, tuple(self._pieces))
        self._pieces, self._length = [], 0
