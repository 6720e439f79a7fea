"""Recordings into words, by the engine that live calls use: cut at silences, decoded side by side in full windows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from bridge.errors import BridgeError, EngineError
from bridge.model.frame import from_ms, to_ms
from bridge.model.stream import Leg
from bridge.model.words import Segment
from bridge.ports import Clock, Decoded, DecodeJob, Engine, Urgency
from bridge.recognise.context import joined
from bridge.recognise.guard import is_invented
from bridge.recognise.heard import Undecoded
from bridge.recognise.settling import Piece, shared_out
from bridge.recognise.tongue import Tongue
from bridge.recordings.file import Recording
from bridge.recordings.pieces import Cutter, Window
from bridge.speech.segmenter import Segmenter, SegmenterOptions

PATIENCE_S: Final = 600.0
"""How long a window may wait behind more urgent work: nobody listens while a recording is read."""

SHED_WAIT_S: Final = 1.0
"""Before a window that the engine had no room for is offered again."""

ALONE: Final = from_ms(700)
"""A stretch of speech as long as this that got no word among its neighbours is decoded once more by itself."""

Progress = Callable[[int], None]
"""Called with the ms of the recording that are done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscribeOptions:
    """What may be chosen for a recording."""

    language: str | None = None
    """None: found once a leg, then held."""
    keywords: tuple[str, ...] = ()
    segmenter: Callable[[], Segmenter] = lambda: Segmenter(SegmenterOptions())
    """What finds the speech of one leg."""
    urgency: Urgency = Urgency.FINAL
    """`SETTLE` where the engine serves live calls too."""
    at_once: int = 8
    """Windows in work at a time; those that wait to be decoded together are among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """What a recording says, by start time."""

    segments: tuple[Segment, ...]
    undecoded: tuple[Undecoded, ...]
    """Speech that was heard and could not be put into words."""


async def transcribe(
    recording: Recording,
    engine: Engine,
    clock: Clock,
    options: TranscribeOptions,
    progress: Progress = lambda _: None,
) -> Transcript:
    """Put a recording into words. Raises InvalidRequestError when the file cannot be read any more."""
    work = _Work(recording, engine, clock, options, progress)
    await work.run()
    return Transcript(
        segments=tuple(sorted(work.segments, key=lambda said: (said.start_ms, said.end_ms))),
        undecoded=tuple(sorted(work.undecoded, key=lambda lost: lost.position)),
    )


class _Voice:
    """One leg's language, and the turn of who may look for it."""

    def __init__(self, language: str | None) -> None:
        self.tongue = Tongue(language)
        self.finding = asyncio.Lock()


class _Work:
    """One recording in work."""

    def __init__(
        self, recording: Recording, engine: Engine, clock: Clock, options: TranscribeOptions, progress: Progress
    ) -> None:
        self._recording = recording
        self._engine = engine
        self._clock = clock
        self._options = options
        self._progress = progress
        self._voices = {leg: _Voice(options.language) for leg in recording.legs}
        self._unfinished: set[Window] = set()
        self._read_ms = 0
        self._told_ms = 0
        self.segments: list[Segment] = []
        self.undecoded: list[Undecoded] = []

    async def run(self) -> None:
        room = asyncio.Semaphore(self._options.at_once)
        try:
            async with asyncio.TaskGroup() as tasks, aclosing(self._windows()) as windows:
                async for window in windows:
                    await room.acquire()
                    self._unfinished.add(window)
                    tasks.create_task(self._finish(window)).add_done_callback(lambda _: room.release())
        except* BridgeError as failed:
            raise failed.exceptions[0] from None

    async def _windows(self) -> AsyncGenerator[Window, None]:
        """Reading, and finding speech, in a thread of their own: never further ahead than there is room for windows."""
        loop = asyncio.get_running_loop()
        steps = _steps(self._recording, self._options.segmenter)
        reader = ThreadPoolExecutor(1, thread_name_prefix="recording")
        try:
            while (step := await loop.run_in_executor(reader, next, steps, None)) is not None:
                self._read_ms, windows = step
                for window in windows:
                    yield window
                self._tell_progress()
        finally:
            reader.submit(steps.close)  # waits for a read that is still going on, as we need not
            reader.shutdown(wait=False)

    def _tell_progress(self) -> None:
        done = min((window.start_ms for window in self._unfinished), default=self._read_ms)
        if done > self._told_ms:
            self._told_ms = done
            self._progress(done)

    async def _finish(self, window: Window) -> None:
        voice = self._voices[window.leg]
        async with voice.finding:
            alone = voice.tongue.held is None
            if alone:
                await self._put_into_words(window.pieces, voice.tongue)
        if not alone:
            await self._put_into_words(window.pieces, voice.tongue)
        self._unfinished.discard(window)
        self._tell_progress()

    async def _put_into_words(self, pieces: Sequence[Piece], tongue: Tongue) -> None:
        """All pieces together, and by themselves those that got no words that way."""
        decoded = await self._decode(pieces, tongue)
        said = shared_out(pieces, decoded) if decoded is not None and not is_invented(decoded) else []
        self.segments += said
        if len(pieces) > 1:
            worded = {segment.segment for segment in said}
            for piece in pieces:
                if piece.segment.segment not in worded and len(piece.samples) >= ALONE:
                    await self._put_into_words([piece], tongue)
        elif decoded is None:
            [lost] = pieces
            self.undecoded.append(Undecoded(leg=lost.segment.leg, position=lost.start, samples=len(lost.samples)))

    async def _decode(self, pieces: Sequence[Piece], tongue: Tongue) -> Decoded | None:
        """None when the engine failed."""
        samples = joined([piece.samples for piece in pieces])
        while True:
            job = DecodeJob(
                samples=samples,
                urgency=self._options.urgency,
                deadline=self._clock.monotonic() + PATIENCE_S,
                language=tongue.held,
                keywords=self._options.keywords,
                want_words=True,
            )
            try:
                decoded = await self._engine.decode(job)
            except EngineError:
                return None
            if decoded is not None:
                tongue.hear(decoded, len(samples))
                return decoded
            await self._clock.sleep(SHED_WAIT_S)


def _steps(recording: Recording, segmenter: Callable[[], Segmenter]) -> Generator[tuple[int, list[Window]], None, None]:
    """A block at a time: the ms read so far, and the windows that it filled."""
    cutters = {leg: Cutter(leg, segmenter()) for leg in recording.legs}
    read: dict[Leg, int] = dict.fromkeys(recording.legs, 0)
    for block in recording.blocks():
        windows: list[Window] = []
        for leg, samples in block.items():
            windows += cutters[leg].push(samples)
            read[leg] += len(samples)
        yield to_ms(min(read.values())), windows
    yield to_ms(min(read.values())), [window for cutter in cutters.values() for window in cutter.flush()]
