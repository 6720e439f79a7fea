"""How right the speakers are: recordings heard as a mixed line, held against RTTM; and what that costs.

No recogniser is asked. What is scored is whom each moment of speech is given to, live and when the call is over: for
live, a moment is given to whoever it seemed to be `delay_ms` later, and never again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bridge.audio.leg import LegAudio
from bridge.bench.accuracy import LINE
from bridge.bench.diarization import DiarizationErrors, OverlapFound, diarization_errors, overlap_found
from bridge.carrier.audio import encode, read_call
from bridge.errors import InvalidRequestError
from bridge.model.frame import AudioFrame, Samples, from_ms, to_ms
from bridge.model.likeness import Likeness, Vector
from bridge.model.speech import Speech, SpeechBegan, SpeechOver
from bridge.model.stream import Leg, MediaChunk
from bridge.rttm import SpokenTurn, read_rttm
from bridge.speakers.listening import LegWindows
from bridge.speakers.overlap import Overlaps, Span
from bridge.speakers.timeline import Speaking, Timeline
from bridge.speakers.voices import Voices
from bridge.speakers.windows import OverlapWindow
from bridge.speech.segmenter import Segmenter, SegmenterOptions

LIVE_DELAY_MS: Final = 1000

STEP_MS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerModels:
    """What tells speakers apart, asked at once rather than in a thread."""

    embed: Callable[[Samples], Vector]
    overlaps: Callable[[Samples], Sequence[Span]]
    likeness: Likeness


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerCall:
    """A recording of one channel, and who speaks in it."""

    name: str
    path: Path
    turns: tuple[SpokenTurn, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerScore:
    """One recording's."""

    name: str
    seconds: float
    speakers: int
    """As the reference has them."""
    found: int
    live: DiarizationErrors
    whole: DiarizationErrors
    without_overlap: DiarizationErrors
    """`whole`, where at most one speaks."""
    overlap: OverlapFound
    cpu_s: float
    """For telling speakers apart alone: speech is looked for anyway."""


def speaker_calls(folder: Path) -> list[SpeakerCall]:
    """Every recording of one channel that has an RTTM file of its own name beside it, by name."""
    found = []
    for rttm in sorted(folder.rglob("*.rttm")):
        path = rttm.with_suffix(".wav")
        if path.is_file() and len(read_call(path).legs) == 1:
            found.append(SpeakerCall(name=rttm.stem, path=path, turns=tuple(_read(rttm))))
    if not found:
        raise InvalidRequestError(f"{folder}: no NAME.wav of one channel with NAME.rttm beside it")
    return found


def score_speakers(call: SpeakerCall, models: SpeakerModels, *, delay_ms: int = LIVE_DELAY_MS) -> SpeakerScore:
    """Hear the call through an 8 kHz μ-law line, and score it. Blocks."""
    hearing = _Hearing(models, from_ms(delay_ms))
    for frame in _frames(call.path):
        hearing.push(frame)
    hearing.flush()
    whole = hearing.whole_turns()
    return SpeakerScore(
        name=call.name,
        seconds=hearing.position / from_ms(1000),
        speakers=len({turn.speaker for turn in call.turns}),
        found=len({turn.speaker for turn in whole}),
        live=diarization_errors(call.turns, hearing.live_turns()),
        whole=diarization_errors(call.turns, whole),
        without_overlap=diarization_errors(call.turns, whole, overlap=False),
        overlap=overlap_found(call.turns, whole),
        cpu_s=hearing.cpu_s,
    )


def score_rttm(call: SpeakerCall, folder: Path) -> SpeakerScore:
    """What another diarizer has written about the same recording: `folder/NAME.rttm`."""
    told = _read(folder / f"{call.name}.rttm")
    errors = diarization_errors(call.turns, told)
    return SpeakerScore(
        name=call.name,
        seconds=max(turn.end_ms for turn in call.turns) / 1000,
        speakers=len({turn.speaker for turn in call.turns}),
        found=len({turn.speaker for turn in told}),
        live=DiarizationErrors(),
        whole=errors,
        without_overlap=diarization_errors(call.turns, told, overlap=False),
        overlap=overlap_found(call.turns, told),
        cpu_s=0.0,
    )


def _read(path: Path) -> list[SpokenTurn]:
    try:
        return read_rttm(path.read_text("utf-8").splitlines())
    except OSError as error:
        raise InvalidRequestError(f"{path}: {error.strerror}") from None


def _frames(path: Path) -> Iterator[AudioFrame]:
    """What the call's leg hears."""
    audio = read_call(path)
    leg = LegAudio(Leg.CALLER, LINE)
    for number, payloads in enumerate(encode(audio, LINE).frames, 1):
        heard = leg.push(MediaChunk(leg=Leg.CALLER, payload=payloads[Leg.CALLER], sequence=number))
        yield from (frame for frame in heard if isinstance(frame, AudioFrame))
    yield from (frame for frame in leg.flush() if isinstance(frame, AudioFrame))


class _Hearing:
    """One call on its way to turns."""

    def __init__(self, models: SpeakerModels, delay: int) -> None:
        self._models = models
        self._delay = delay
        self._segmenter = Segmenter(SegmenterOptions())
        self._windows = LegWindows(models.likeness)
        self._voices = Voices(models.likeness)
        self._timeline = Timeline()
        self._overlaps = Overlaps()
        self._began = 0
        self._stretches: list[tuple[int, int]] = []
        self._live: list[tuple[int, str | None]] = []
        """Who was told at each step, in order: positions and names."""
        self.position = 0
        self.cpu_s = 0.0

    def push(self, frame: AudioFrame) -> None:
        self.position = frame.end
        self._hear(self._segmenter.push(frame))

    def flush(self) -> None:
        self._hear(self._segmenter.flush())
        self._tell_until(self.position)

    def live_turns(self) -> list[SpokenTurn]:
        told = dict(self._live)
        return _turns(self._stretches, lambda position: told.get(position - position % from_ms(STEP_MS)) or "?")

    def whole_turns(self) -> list[SpokenTurn]:
        began = time.thread_time()
        names = self._voices.whole()
        self.cpu_s += time.thread_time() - began
        speaking = Speaking(self._timeline, names.__getitem__)

        def speaker(position: int) -> str:
            return speaking.at(to_ms(position)) or "?"

        def other(position: int) -> str | None:
            return speaking.other(to_ms(position), speaker(position))

        return [*_turns(self._stretches, speaker), *_turns(self._overlaps.spans(), other)]

    def _hear(self, speech: Sequence[Speech]) -> None:
        for item in speech:
            if isinstance(item, SpeechBegan):
                self._began = item.voice
            elif isinstance(item, SpeechOver):
                self._stretches.append((self._began, item.position))
        began = time.thread_time()
        for window in self._windows.push(speech):
            self.cpu_s += time.thread_time() - began
            self._tell_until(self.position - self._delay)
            began = time.thread_time()
            if isinstance(window, OverlapWindow):
                self._overlaps.add(window, self._models.overlaps(window.samples))
            else:
                fresh = self._timeline.add(window)
                self._voices.hear(self._models.embed(window.samples), fresh / from_ms(1000))
        self.cpu_s += time.thread_time() - began

    def _tell_until(self, position: int) -> None:
        """Whatever is heard from now on changes nothing before this position."""
        at = self._live[-1][0] + from_ms(STEP_MS) if self._live else 0
        for place in range(at, position, from_ms(STEP_MS)):
            window = self._timeline.window_at(place)
            self._live.append((place, None if window is None else self._voices.speaker(window)))


def _turns(spans: Sequence[Span], speaker_at: Callable[[int], str | None]) -> list[SpokenTurn]:
    """None is nobody."""
    turns: list[SpokenTurn] = []
    for start, end in spans:
        before: str | None = None
        for place in range(start, end, from_ms(STEP_MS)):
            speaker = speaker_at(place)
            until = to_ms(min(place + from_ms(STEP_MS), end))
            if speaker is not None and speaker == before:
                turns[-1] = SpokenTurn(start_ms=turns[-1].start_ms, end_ms=until, speaker=speaker)
            elif speaker is not None:
                turns.append(SpokenTurn(start_ms=to_ms(place), end_ms=until, speaker=speaker))
            before = speaker
    return turns
