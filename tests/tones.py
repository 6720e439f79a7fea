"""A conversation whose words are tones, and a recogniser that knows them: what was said where is known to the sample."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from bridge.carrier.audio import CallAudio
from bridge.model.frame import SAMPLE_RATE, Samples
from bridge.model.stream import Leg
from bridge.ports import Decoded, DecodedWord, DecodeJob
from bridge.speech.segmenter import Segmenter, SegmenterOptions
from tests.unit.recordings.doubles import LoudIsSpeech, OpenGate

LINE_RATE: Final = 16_000
WINDOW_MS: Final = 32
"""Speech is looked for in windows of this length: what begins and ends well inside of one moves none of them."""

WORD_MS: Final = 12 * WINDOW_MS - 4
GAP_MS: Final = 5 * WINDOW_MS + 4
"""Between the words of an utterance: too short for a pause."""
BEGIN_MS: Final = 12
"""A word's beginning in its first window; its end lies 8 ms in its last."""

LOWEST_HZ: Final = 400
STEP_HZ: Final = 100

AMPLITUDE: Final = 0.3
FADE_MS: Final = 5
AUDIBLE: Final = 0.05
HOLE_MS: Final = 110
"""A word with a hole of this length, where frames are lost, is still one word."""
SHORTEST_MS: Final = 60


@dataclass(frozen=True, slots=True)
class Spoken:
    """One word, its tone and its place."""

    word: str
    start_ms: int
    end_ms: int


Utterances = Sequence[tuple[Leg, Sequence[Spoken]]]


def _script() -> Utterances:
    """Two parties in turn, three to one words at a time, each word another, two seconds apart."""
    numbers = itertools.count()
    said = []
    for turn, (leg, count) in enumerate(
        [(Leg.AGENT, 3), (Leg.CALLER, 2), (Leg.AGENT, 1), (Leg.CALLER, 3), (Leg.AGENT, 2), (Leg.CALLER, 1)]
    ):
        first_ms = (20 + turn * 85) * WINDOW_MS + BEGIN_MS
        starts = [first_ms + n * (WORD_MS + GAP_MS) for n in range(count)]
        said.append((leg, [Spoken(f"tone{next(numbers):02d}", start, start + WORD_MS) for start in starts]))
    return said


SCRIPT: Final = _script()
DURATION_MS: Final = 18_000


def recording() -> CallAudio:
    """The conversation as a carrier has it."""
    legs = {leg: np.zeros(DURATION_MS * LINE_RATE // 1000) for leg in (Leg.CALLER, Leg.AGENT)}
    for leg, words in SCRIPT:
        for spoken in words:
            begin = spoken.start_ms * LINE_RATE // 1000
            tone = _tone(int(spoken.word.removeprefix("tone")))
            legs[leg][begin : begin + len(tone)] = tone
    return CallAudio({leg: (samples * 32767).astype(np.int16) for leg, samples in legs.items()}, LINE_RATE)


def _tone(number: int) -> npt.NDArray[np.float64]:
    count = WORD_MS * LINE_RATE // 1000
    wave = AMPLITUDE * np.sin(2 * np.pi * (LOWEST_HZ + number * STEP_HZ) * np.arange(count) / LINE_RATE)
    fade = np.minimum(1, np.arange(count) / (FADE_MS * LINE_RATE / 1000))
    return wave * fade * fade[::-1]


def heard_on(line: Sequence[Leg]) -> Mapping[Leg, Sequence[Sequence[Spoken]]]:
    """The utterances of each leg of a line; of all parties where they come mixed."""
    return {leg: [words for speaker, words in SCRIPT if leg in {speaker, Leg.MIXED}] for leg in line}


class ToneEngine:
    """Fills the `Engine` port: reads tones as words."""

    async def decode(self, job: DecodeJob) -> Decoded | None:
        words = words_in(job.samples)[len(job.prefix_text.split()) :]
        return Decoded(
            text=" ".join(word.text for word in words),
            language=job.language or "en",
            language_probability=0.99,
            average_log_probability=-0.1,
            no_speech_probability=0.01,
            words=tuple(words),
        )

    def pressure(self) -> float:
        return 0.0


class HeldEngine(ToneEngine):
    """Reads tones once it may, and remembers what it was asked."""

    def __init__(self, *, at_first: int = 0) -> None:
        """`at_first`: jobs that are let through at once."""
        self.open = asyncio.Event()
        self.jobs: list[DecodeJob] = []
        self._at_first = at_first

    async def decode(self, job: DecodeJob) -> Decoded | None:
        self.jobs.append(job)
        if len(self.jobs) > self._at_first:
            await self.open.wait()
        return await super().decode(job)


def words_in(samples: Samples) -> list[DecodedWord]:
    """Those that are heard there, at their places."""
    return [
        DecodedWord(text=f"tone{_number(samples[begin:end]):02d}", start=begin, end=end, probability=0.9)
        for begin, end in _runs(np.flatnonzero(np.abs(samples) > AUDIBLE))
    ]


def _runs(audible: npt.NDArray[np.intp]) -> list[tuple[int, int]]:
    """Where it is loud without a longer hole."""
    if not len(audible):
        return []
    parts = np.split(audible, np.flatnonzero(np.diff(audible) > HOLE_MS * SAMPLE_RATE // 1000) + 1)
    found = [(int(part[0]), int(part[-1]) + 1) for part in parts]
    return [(begin, end) for begin, end in found if end - begin >= SHORTEST_MS * SAMPLE_RATE // 1000]


def _number(run: Samples) -> int:
    """Which tone it is; of the spectrum there is a line a hertz."""
    spectrum = np.abs(np.fft.rfft(run * np.hanning(len(run)), SAMPLE_RATE))
    return round((int(spectrum.argmax()) - LOWEST_HZ) / STEP_HZ)


def tone_segmenter(options: SegmenterOptions) -> Segmenter:
    """Silero takes no tone for speech; this one does."""
    return Segmenter(options, model=LoudIsSpeech(), gate=OpenGate())
