"""What there is to go by at each pause of a turn: found once, judged by any rule afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from bridge.bench.smart_turn import SmartTurn
from bridge.bench.turn_material import Take
from bridge.model.frame import SAMPLE_RATE, AudioFrame, Samples, from_ms
from bridge.model.speech import SpeechBegan, SpeechOver, SpeechPaused, SpeechWentOn
from bridge.model.stream import Leg
from bridge.ports import Clock, Decoded, DecodeJob, Urgency
from bridge.recognise.guard import is_invented
from bridge.recognise.utterance import TRAIL
from bridge.speech.segmenter import Segmenter, SegmenterOptions
from bridge.turns.options import EARLY_PAUSE_MS
from bridge.turns.prosody import HEARD, prosody
from bridge.turns.text import cues
from bridge.turns.weighing import Evidence

FRAME: Final = from_ms(20)
CLOSE: Final = from_ms(250)
"""A voice that stops so near the true end stops at it: references are a little late."""
ASKED_AFTER: Final = from_ms(200)
"""Silence behind which Smart Turn is asked, as its makers do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """One silence of a turn that was long enough to be noticed."""

    take: str
    kind: str
    language: str
    tuned: bool
    at_end: bool
    late_s: float
    """Where the voice was found to stop, behind the true end; of pauses inside, 0."""
    noticed_s: float
    """Silence by then."""
    lasted_s: float | None
    """None: to the end of the recording."""
    text: str
    """All that the turn says so far."""
    features: Mapping[str, float]
    decode_s: float
    """What the words cost, of one core: with one to itself, how long they take."""
    check_s: float
    """What prosody and text cost."""
    smart: float | None
    """What Smart Turn says; None where it was not asked."""
    smart_s: float


class Recogniser(Protocol):
    """The part of an engine that is needed."""

    async def decode(self, job: DecodeJob) -> Decoded | None: ...


@dataclass(frozen=True, slots=True)
class _Silence:
    utterance: int
    """Where the speech began."""
    voice_end: int
    noticed: int
    went_on: int | None

    @property
    def lasted_s(self) -> float | None:
        return None if self.went_on is None else (self.went_on - self.voice_end) / SAMPLE_RATE


def silences(take: Take) -> Iterator[_Silence]:
    """What the segmenter finds, with the pauses of the preset `bot`."""
    segmenter = Segmenter(SegmenterOptions(pause_ms=EARLY_PAUSE_MS))
    begun, open_at = 0, None
    for position in range(0, len(take.samples), FRAME):
        samples = take.samples[position : position + FRAME]
        for found in segmenter.push(AudioFrame(leg=Leg.CALLER, position=position, samples=samples)):
            match found:
                case SpeechBegan(start, voice):
                    if open_at is not None:
                        yield _Silence(begun, *open_at, voice)
                        open_at = None
                    begun = start
                case SpeechPaused(at):
                    open_at = (at, position + FRAME)
                case SpeechWentOn(at) if open_at is not None:
                    yield _Silence(begun, *open_at, at)
                    open_at = None
                case SpeechOver():
                    pass
    if open_at is not None:
        yield _Silence(begun, *open_at, None)


async def pauses(take: Take, engine: Recogniser, clock: Clock, smart: SmartTurn | None) -> list[Pause]:
    """The turn's pauses up to its end; what comes behind it (another's voice on the line) is no part of it."""
    told: list[Pause] = []
    before: list[str] = []
    last: tuple[int, str] | None = None
    for silence in silences(take):
        at_end = silence.went_on is None or silence.voice_end >= take.end - CLOSE
        if last is not None and last[0] != silence.utterance:
            before.append(last[1])
        run = take.samples[silence.utterance : silence.voice_end + TRAIL]
        begun = time.process_time()
        text = await _words(run, take.language, engine, clock)
        decode_s = time.process_time() - begun
        last = (silence.utterance, text)
        whole = " ".join([*before, text])
        begun = time.process_time()
        evidence = Evidence(
            cues=cues(whole, take.language), prosody=prosody(take.samples[: silence.voice_end][-HEARD:])
        )
        check_s = time.process_time() - begun
        begun = time.process_time()
        asked = take.samples[: silence.voice_end + ASKED_AFTER]
        sure = None if smart is None else smart.probability(asked)
        told.append(
            Pause(
                take=take.id,
                kind=take.kind,
                language=take.language,
                tuned=take.tuned,
                at_end=at_end,
                late_s=(silence.voice_end - take.end) / SAMPLE_RATE if at_end else 0.0,
                noticed_s=(silence.noticed - silence.voice_end) / SAMPLE_RATE,
                lasted_s=None
                if silence.went_on is None or at_end
                else (silence.went_on - silence.voice_end) / SAMPLE_RATE,
                text=whole,
                features=evidence.features(),
                decode_s=decode_s,
                check_s=check_s,
                smart=sure,
                smart_s=time.process_time() - begun,
            )
        )
        if at_end:
            break
    return told


async def _words(run: Samples, language: str, engine: Recogniser, clock: Clock) -> str:
    job = DecodeJob(
        samples=np.ascontiguousarray(run),
        urgency=Urgency.FINAL,
        deadline=clock.monotonic(),
        language=language,
        want_words=True,
    )
    decoded = await engine.decode(job)
    return "" if decoded is None or is_invented(decoded) else decoded.text
