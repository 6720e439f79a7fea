"""How right the words are: recordings heard as a live call hears them, beside plain faster-whisper."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from bridge.bench.calls import NO_SPEECH, BenchCall
from bridge.bench.score import WordErrors, invented, word_errors
from bridge.call import Call, CallOptions
from bridge.carrier.audio import encode
from bridge.model.call_key import CallKey
from bridge.model.events import Body, TranscriptFinal, TranscriptRevised
from bridge.model.frame import SAMPLE_RATE, Samples
from bridge.model.stream import Encoding, Leg, MediaChunk, MediaFormat, StreamItem, StreamStarted, StreamStopped
from bridge.model.words import Segment
from bridge.ports import Clock, Engine
from callcodecs import g711
from callcodecs.resample import Resampler

LINE: Final = MediaFormat(encoding=Encoding.PCMU, sample_rate=8000)
BEAM: Final = 5
IDLE: Final = 0.2
"""Pressure below which the next second of a recording is said, so that the engine hears it as a single live call's."""
LOOK_AGAIN_S: Final = 0.05


@dataclass(slots=True)
class Score:
    """One kind of recording, all of it."""

    recordings: int = 0
    seconds: float = 0.0
    live: WordErrors = field(default_factory=WordErrors)
    settled: WordErrors = field(default_factory=WordErrors)
    offline: WordErrors = field(default_factory=WordErrors)
    invented: int = 0
    """Words where nobody spoke."""


async def accuracy(
    calls: Sequence[BenchCall], engine: Engine, clock: Clock, *, offline: Path | None, done: Callable[[], None]
) -> dict[str, Score]:
    """Scores by kind of recording, heard one after the other by an engine that has time for them. `offline` is the
    weights' folder for the comparison, None for none.
    """
    compared = await asyncio.to_thread(_Offline, offline) if offline is not None else None
    scores: dict[str, Score] = {}
    for call in calls:
        told = await _hear(call, engine, clock)
        plain = await asyncio.to_thread(compared.hear, call) if compared is not None else None
        _add(scores.setdefault(f"{call.kind} {call.language[:2]}", Score()), call, told, plain)
        done()
    return scores


def _add(score: Score, call: BenchCall, told: _Told, plain: Mapping[Leg, str] | None) -> None:
    score.recordings += 1
    score.seconds += call.duration_ms / 1000
    for leg, text in call.texts.items():
        if text is None:
            continue
        live, settled = told.live_text(leg), told.settled_text(leg)
        if call.kind in NO_SPEECH:
            score.invented += invented(live, call.language)
            continue
        score.live += word_errors(text, live, call.language)
        score.settled += word_errors(text, settled, call.language)
        if plain is not None:
            score.offline += word_errors(text, plain[leg], call.language)


async def _hear(call: BenchCall, engine: Engine, clock: Clock) -> _Told:
    """The call through the whole pipeline, as fast as the engine has it done without being busy."""
    told = _Told()
    started = StreamStarted(
        carrier="bench", carrier_call_id=call.id, stream_id=call.id, legs=tuple(call.audio.legs), media_format=LINE
    )
    language = call.language[:2] if call.kind not in NO_SPEECH else None
    heard = Call(
        CallKey("bench", call.id),
        started,
        engine=engine,
        sink=told,
        clock=clock,
        options=CallOptions(language=language),
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(heard.tell())
        tasks.create_task(heard.listen(_items(call, engine, clock)))
    return told


async def _items(call: BenchCall, engine: Engine, clock: Clock) -> AsyncIterator[StreamItem]:
    audio = encode(call.audio, LINE)
    a_second = 1000 // audio.frame_ms
    for number, frame in enumerate(audio.frames, 1):
        while number % a_second == 0 and engine.pressure() >= IDLE:
            await clock.sleep(LOOK_AGAIN_S)
        for leg, payload in frame.items():
            yield MediaChunk(leg=leg, payload=payload, sequence=number)
    yield StreamStopped()


class _Told:
    """An `EventSink` that keeps the words."""

    def __init__(self) -> None:
        self._live: list[Segment] = []
        self._settled: dict[tuple[Leg, int], Segment] = {}

    def open(self, key: CallKey, *, last_seq: int = 0) -> None: ...

    async def publish(self, key: CallKey, body: Body) -> None:
        del key
        if isinstance(body, TranscriptFinal):
            segment = body.as_segment()
            self._live.append(segment)
            self._settled[segment.leg, segment.segment] = segment
        elif isinstance(body, TranscriptRevised):
            for number in body.replaces:
                self._settled.pop((body.leg, number), None)
            self._settled.update({(segment.leg, segment.segment): segment for segment in body.segments})

    async def settled(self, key: CallKey) -> None: ...

    def live_text(self, leg: Leg) -> str:
        return _text(leg, self._live)

    def settled_text(self, leg: Leg) -> str:
        return _text(leg, self._settled.values())


class _Offline:
    """Plain faster-whisper with its own defaults, which hears a whole recording at once."""

    def __init__(self, folder: Path) -> None:
        from faster_whisper import WhisperModel  # noqa: PLC0415  # for the comparison alone

        self._model: Any = WhisperModel(str(folder), compute_type="int8")

    def hear(self, call: BenchCall) -> dict[Leg, str]:
        """Blocks."""
        return {leg: self._words(samples, call) for leg, samples in through_the_line(call).items()}

    def _words(self, samples: Samples, call: BenchCall) -> str:
        language = call.language[:2] if call.kind not in NO_SPEECH else None
        segments, _ = self._model.transcribe(samples, beam_size=BEAM, language=language)
        return " ".join(segment.text.strip() for segment in segments)


def through_the_line(call: BenchCall) -> dict[Leg, Samples]:
    """What arrives: μ-law at 8 kHz, back at 16 kHz."""
    frames = encode(call.audio, LINE).frames
    return {leg: _at_16k(b"".join(frame[leg] for frame in frames)) for leg in call.audio.legs}


def _at_16k(payload: bytes) -> Samples:
    resampler = Resampler(LINE.sample_rate, SAMPLE_RATE)
    line = g711.decode_ulaw(payload).astype(np.float32) / np.float32(32768)
    return np.concatenate([resampler.push(line), resampler.flush()])


def _text(leg: Leg, segments: Iterable[Segment]) -> str:
    mine = sorted((segment for segment in segments if segment.leg == leg), key=lambda segment: segment.start_ms)
    return " ".join(segment.text for segment in mine)
