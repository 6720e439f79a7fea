"""Hours of one call: the same people all the way, and whether their names, and what the call holds, stay as they are.

A recording is said again and again, each time with another loudness and other noise, and heard by the whole of a call
at the speed at which its voices can be heard. Words are made up: what is asked is whose they are.
"""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Final

import numpy as np
from rich.table import Table

from bridge.bench.accuracy import LINE
from bridge.bench.speakers import SpeakerCall
from bridge.call import Call, CallOptions
from bridge.carrier.audio import CallAudio, encode, read_call
from bridge.model.call_key import CallKey
from bridge.model.events import Body, SpeakerUpdated, TranscriptFinal, TranscriptRevised
from bridge.model.frame import from_ms
from bridge.model.stream import Leg, MediaChunk, StreamItem, StreamStarted, StreamStopped
from bridge.model.words import Segment
from bridge.ports import Clock, Decoded, DecodedWord, DecodeJob, VoiceEncoder
from bridge.rttm import SpokenTurn

WORD_MS: Final = 300
LOUDER_DB: Final = 6.0
NOISE: Final = (5.0, 60.0)
"""Of 32768: bounds of what is drawn for each time."""

PARTS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of the call, as it was told while it went on."""

    until_s: float
    words: int
    """In the speech of the reference."""
    right: float
    """The share of them with the name that their speaker has most in the whole call."""
    names: int
    """That had been given by then."""
    changed: int
    """Segments named anew."""
    memory_mb: float
    """The most that the process had held by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LongCall:
    """How it went."""

    parts: tuple[Part, ...]
    settled: float
    """The share of all words that are right when the call is over."""
    names: int
    cpu_s: float


async def long_call(call: SpeakerCall, hours: float, voices: VoiceEncoder, clock: Clock) -> LongCall:
    """The recording, said again until it lasts for `hours`."""
    audio = read_call(call.path)
    [samples] = audio.legs.values()
    again_ms = len(samples) * 1000 // audio.sample_rate
    times = max(1, round(hours * 3_600_000 / again_ms))
    told = _Told(call.turns, again_ms)
    heard = Call(
        CallKey("bench", call.name),
        StreamStarted(carrier="bench", carrier_call_id="", stream_id="", legs=(Leg.MIXED,), media_format=LINE),
        engine=_MadeUp(),
        sink=told,
        clock=clock,
        options=CallOptions(language="en", partials=False, turns=None, voices=voices, live=False),
    )
    began = _cpu_s()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(heard.tell())
        tasks.create_task(heard.listen(_items(CallAudio({Leg.MIXED: samples}, audio.sample_rate), times, told)))
    return told.outcome(_cpu_s() - began)


async def _items(audio: CallAudio, times: int, told: _Told) -> AsyncIterator[StreamItem]:
    random = np.random.default_rng(0)
    number = 0
    for time in range(times):
        frames = encode(_varied(audio, random), LINE).frames
        for at, frame in enumerate(frames):
            number += 1
            yield MediaChunk(leg=Leg.MIXED, payload=frame[Leg.MIXED], sequence=number)
            if (time + at / len(frames)) / times * PARTS >= len(told.marks) + 1:
                told.mark()
    yield StreamStopped()


def _varied(audio: CallAudio, random: np.random.Generator) -> CallAudio:
    [samples] = audio.legs.values()
    gain = 10 ** (random.uniform(-LOUDER_DB, LOUDER_DB) / 20)
    noisy = samples * gain + random.normal(0, random.uniform(*NOISE), len(samples))
    return CallAudio({Leg.MIXED: np.clip(noisy, -32768, 32767).astype(np.int16)}, audio.sample_rate)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class _MadeUp:
    """An `Engine` that hears a word of its own every 300 ms."""

    def __init__(self) -> None:
        self._numbers = count()

    async def decode(self, job: DecodeJob) -> Decoded | None:
        step = from_ms(WORD_MS)
        words = tuple(
            DecodedWord(text=f"w{next(self._numbers)}", start=start, end=start + step, probability=0.9)
            for start in range(job.known, len(job.samples) - step, step)
        )
        return replace(
            Decoded.nothing("en"), text=" ".join(word.text for word in words), words=words, no_speech_probability=0.0
        )

    def pressure(self) -> float:
        return 0.0


@dataclass(frozen=True, slots=True)
class _Mark:
    """What had been told when a part of the call was over."""

    until_s: float
    finals: int
    names: int
    changed: int
    memory_mb: float


class _Told:
    """An `EventSink` that keeps whose the words are."""

    def __init__(self, turns: tuple[SpokenTurn, ...], again_ms: int) -> None:
        self._turns = turns
        self._again_ms = again_ms
        self._finals: list[Segment] = []
        self._standing: dict[int, Segment] = {}
        self._changed = 0
        self.marks: list[_Mark] = []

    def open(self, key: CallKey, *, last_seq: int = 0) -> None: ...

    async def publish(self, key: CallKey, body: Body) -> None:
        del key
        match body:
            case TranscriptFinal():
                self._finals.append(body.as_segment())
                self._standing[body.segment] = body.as_segment()
            case TranscriptRevised(replaces=replaces, segments=segments):
                for number in replaces:
                    self._standing.pop(number, None)
                self._standing.update({segment.segment: segment for segment in segments})
            case SpeakerUpdated(segment=segment, speaker=speaker):
                self._changed += 1
                self._standing[segment] = replace(self._standing[segment], speaker=speaker)
            case _:
                pass

    async def settled(self, key: CallKey) -> None: ...

    def mark(self) -> None:
        """A part is over."""
        until_ms = self._finals[-1].end_ms if self._finals else 0
        names = len({final.speaker for final in self._finals if final.speaker is not None})
        memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        self.marks.append(_Mark(until_ms / 1000, len(self._finals), names, self._changed, memory_mb))

    def outcome(self, cpu_s: float) -> LongCall:
        """Once all of it has been told."""
        self.mark()
        said = Counter(pair for final in self._finals for pair in self._pairs(final))
        theirs = {who: max(said, key=lambda pair: (pair[0] == who, said[pair]))[1] for who, _ in said}
        parts, first = [], 0
        for mark in self.marks:
            words = [pair for final in self._finals[first : mark.finals] for pair in self._pairs(final)]
            parts.append(
                Part(
                    until_s=mark.until_s,
                    words=len(words),
                    right=_right(words, theirs),
                    names=mark.names,
                    changed=mark.changed,
                    memory_mb=mark.memory_mb,
                )
            )
            first = mark.finals
        standing = [pair for segment in self._standing.values() for pair in self._pairs(segment)]
        return LongCall(
            parts=tuple(parts),
            settled=_right(standing, theirs),
            names=len({segment.speaker for segment in self._standing.values()}),
            cpu_s=cpu_s,
        )

    def _pairs(self, segment: Segment) -> list[tuple[str, str | None]]:
        """Who says each word by the reference, where one alone does, and by what was told."""
        pairs = []
        for word in segment.words:
            at_ms = (word.start_ms + word.end_ms) // 2 % self._again_ms
            who = {turn.speaker for turn in self._turns if turn.start_ms <= at_ms < turn.end_ms}
            if len(who) == 1:
                pairs.append((who.pop(), segment.speaker))
        return pairs


def _right(pairs: Sequence[tuple[str, str | None]], theirs: Mapping[str, str | None]) -> float:
    return sum(theirs[who] == name for who, name in pairs) / len(pairs) if pairs else float("nan")


def long_table(name: str, call: LongCall) -> Table:
    """A row a part, one for what stands when the call is over."""
    table = Table(title=f"{name}, {call.cpu_s:.0f} s of a core", title_justify="left")
    for title in ("until / s", "words", "right", "names", "changed", "memory / MB"):
        table.add_column(title, justify="right")
    for part in call.parts:
        shown = (f"{part.until_s:.0f}", f"{part.words}", f"{part.right:.1%}", f"{part.names}", f"{part.changed}")
        table.add_row(*shown, f"{part.memory_mb:.0f}")
    table.add_row("settled", "", f"{call.settled:.1%}", str(call.names), "", "")
    return table
