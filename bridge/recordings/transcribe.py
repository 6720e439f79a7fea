"""Recordings into words, by the engine that live calls use: cut at silences, decoded side by side in full windows."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from bridge.errors import BridgeError, EngineError
from bridge.model.frame import from_ms, to_ms
from bridge.model.likeness import Likeness, Vector
from bridge.model.speech import Speech
from bridge.model.stream import Leg
from bridge.model.words import Segment
from bridge.ports import Clock, Decoded, DecodeJob, Engine, Urgency, VoiceEncoder
from bridge.recognise.context import joined
from bridge.recognise.guard import is_invented
from bridge.recognise.heard import Undecoded
from bridge.recognise.settling import Piece, shared_out
from bridge.recognise.tongue import Tongue
from bridge.recordings.file import Recording
from bridge.recordings.pieces import Cutter, Window
from bridge.recordings.speakers import Before, Correction, Speakers, corrected
from bridge.speakers.listening import LegWindows
from bridge.speakers.windows import OverlapWindow, VoiceWindow
from bridge.speech.segmenter import Segmenter, SegmenterOptions

PATIENCE_S: Final = 600.0
"""How long a window may wait behind more urgent work: nobody listens while a recording is read."""

SHED_WAIT_S: Final = 1.0
"""Before a window that the engine had no room for is offered again."""

ALONE: Final = from_ms(700)
"""A stretch of speech as long as this that got no word among its neighbours is decoded once more by itself."""

Progress = Callable[[int], None]
"""Called with the ms of the recording that are done."""


Tell = Callable[[Sequence[Segment], "Sequence[Undecoded]"], Awaitable[None]]
"""Called with the words of a window, and with its speech that has none: each leg's in order."""


Correct = Callable[[Sequence[Correction]], Awaitable[None]]
"""Called with later, better answers for segments that have been told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What has been told of a leg."""

    segment: int
    """The number of its last segment."""
    until_ms: int
    """The end of its last segment."""
    language: str
    said: tuple[Segment, ...]
    """All of them, as they stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscribeOptions:
    """What may be chosen for a recording."""

    language: str | None = None
    """None: found once a leg, then held."""
    keywords: tuple[str, ...] = ()
    segmenter: Callable[[], Segmenter] = lambda: Segmenter(SegmenterOptions())
    """What finds the speech of one leg."""
    urgency: Urgency = Urgency.FINAL
    """`RECORDING` where the engine serves live calls too."""
    at_once: int = 8
    """Windows in work at a time; those that wait to be decoded together are among them."""
    voices: VoiceEncoder | None = None
    """Tells the speakers of a leg apart; None does not."""
    known: Mapping[str, Vector] = field(default_factory=dict)
    """Directions of voices that have a name of their own."""
    done: Mapping[Leg, Done] = field(default_factory=dict)
    """Of a recording that is taken up again: it is cut as before, and its words go on behind this."""


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
    segments: list[Segment] = []
    undecoded: list[Undecoded] = []
    corrections: list[Correction] = []

    async def keep(said: Sequence[Segment], lost: Sequence[Undecoded]) -> None:
        segments.extend(said)
        undecoded.extend(lost)

    async def correct(found: Sequence[Correction]) -> None:
        corrections.extend(found)

    await tell_transcript(recording, engine, clock, options, tell=keep, correct=correct, progress=progress)
    return Transcript(
        segments=tuple(sorted(corrected(segments, corrections), key=lambda said: (said.start_ms, said.end_ms))),
        undecoded=tuple(sorted(undecoded, key=lambda lost: lost.position)),
    )


async def tell_transcript(
    recording: Recording,
    engine: Engine,
    clock: Clock,
    options: TranscribeOptions,
    *,
    tell: Tell,
    correct: Correct,
    progress: Progress = lambda _: None,
) -> None:
    """Put a recording into words and tell them as they are found; while that takes its time, nothing is read on.

    Raises InvalidRequestError when the file cannot be read any more, what `tell` and `correct` raise, and where
    speakers are to be told apart, SetupError without a model that does.
    """
    await _Work(recording, engine, clock, options, tell=tell, correct=correct, progress=progress).run()


class _Voice:
    """One leg's language, the turn of who may look for it, and what of it is in work."""

    def __init__(self, language: str | None) -> None:
        self.tongue = Tongue(language)
        self.finding = asyncio.Lock()
        self.windows: deque[_InWork] = deque()
        """In order: a window that is ready waits for those before it."""
        self.telling = asyncio.Lock()


@dataclass(slots=True, eq=False)
class _InWork:
    """A window on its way to words."""

    window: Window
    segments: list[Segment] = field(default_factory=list)
    undecoded: list[Undecoded] = field(default_factory=list)
    ready: bool = False


class _Work:
    """One recording in work."""

    def __init__(
        self,
        recording: Recording,
        engine: Engine,
        clock: Clock,
        options: TranscribeOptions,
        *,
        tell: Tell,
        correct: Correct,
        progress: Progress,
    ) -> None:
        self._recording = recording
        self._engine = engine
        self._clock = clock
        self._options = options
        self._tell = tell
        self._correct = correct
        self._speakers = _speakers(recording, options)
        self._progress = progress
        self._voices = {
            leg: _Voice(done.language if (done := options.done.get(leg)) is not None else options.language)
            for leg in recording.legs
        }
        self._read_ms = 0
        self._told_ms = 0

    async def run(self) -> None:
        room = asyncio.Semaphore(self._options.at_once)
        try:
            async with asyncio.TaskGroup() as tasks, aclosing(self._windows()) as windows:
                async for window in windows:
                    await room.acquire()
                    work = _InWork(window)
                    self._voices[window.leg].windows.append(work)
                    tasks.create_task(self._finish(work)).add_done_callback(lambda _: room.release())
            if self._speakers is not None:
                await self._correct(await self._speakers.settle())
        except* BridgeError as failed:
            raise _first(failed) from None

    async def _windows(self) -> AsyncGenerator[Window, None]:
        """Reading, and finding speech, in a thread of their own: never further ahead than there is room for windows."""
        loop = asyncio.get_running_loop()
        voices = self._options.voices
        steps = _steps(self._recording, self._options.segmenter, None if voices is None else voices.likeness)
        reader = ThreadPoolExecutor(1, thread_name_prefix="recording")
        try:
            while (step := await loop.run_in_executor(reader, next, steps, None)) is not None:
                self._read_ms, windows, voiced = step
                if self._speakers is not None:
                    for leg, heard in voiced.items():
                        await self._correct(await self._speakers.hear(leg, heard))
                for window in windows:
                    if (left := self._still_to_do(window)) is not None:
                        yield left
                self._tell_progress()
        finally:
            reader.submit(steps.close)  # waits for a read that is still going on, as we need not
            reader.shutdown(wait=False)

    def _still_to_do(self, window: Window) -> Window | None:
        done = self._options.done.get(window.leg)
        if done is None or window.pieces[0].segment.end_ms > done.until_ms:
            return window
        left = tuple(piece for piece in window.pieces if piece.segment.end_ms > done.until_ms)
        return Window(window.leg, left) if left else None

    def _tell_progress(self) -> None:
        unfinished = (voice.windows[0].window.start_ms for voice in self._voices.values() if voice.windows)
        done = min(unfinished, default=self._read_ms)
        if done > self._told_ms:
            self._told_ms = done
            self._progress(done)

    async def _finish(self, work: _InWork) -> None:
        voice = self._voices[work.window.leg]
        async with voice.finding:
            alone = voice.tongue.held is None
            if alone:
                await self._put_into_words(work, work.window.pieces, voice.tongue)
        if not alone:
            await self._put_into_words(work, work.window.pieces, voice.tongue)
        work.ready = True
        async with voice.telling:
            while voice.windows and voice.windows[0].ready:
                first = voice.windows[0]
                await self._tell(self._named(first.segments), first.undecoded)
                voice.windows.popleft()
        self._tell_progress()

    def _named(self, segments: Sequence[Segment]) -> Sequence[Segment]:
        if self._speakers is None:
            return segments
        return [piece for segment in segments for piece in self._speakers.final(segment)]

    async def _put_into_words(self, work: _InWork, pieces: Sequence[Piece], tongue: Tongue) -> None:
        """All pieces together, and by themselves those that got no words that way."""
        decoded = await self._decode(pieces, tongue)
        said = shared_out(pieces, decoded) if decoded is not None and not is_invented(decoded) else []
        work.segments = sorted([*work.segments, *said], key=lambda segment: segment.segment)
        if len(pieces) > 1:
            worded = {segment.segment for segment in said}
            for piece in pieces:
                if piece.segment.segment not in worded and len(piece) >= ALONE:
                    await self._put_into_words(work, [piece], tongue)
        elif decoded is None:
            [lost] = pieces
            work.undecoded.append(Undecoded(leg=lost.segment.leg, position=lost.start, samples=len(lost.samples)))

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


def _first(failed: BaseExceptionGroup[BridgeError]) -> BridgeError:
    error = failed.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def _speakers(recording: Recording, options: TranscribeOptions) -> Speakers | None:
    if options.voices is None:
        return None
    before = {
        leg: Before(segment=done.segment, until_ms=done.until_ms, said=done.said) for leg, done in options.done.items()
    }
    return Speakers(options.voices, recording.legs, before, options.known)


_Step = tuple[int, list[Window], Mapping[Leg, list[VoiceWindow | OverlapWindow]]]
"""The ms read so far, the windows that are full now, and those in which voices are to be heard."""


def _steps(
    recording: Recording, segmenter: Callable[[], Segmenter], likeness: Likeness | None
) -> Generator[_Step, None, None]:
    """A block at a time. Without a `likeness` nobody listens to voices."""
    ears = {leg: _Ear(leg, segmenter(), likeness) for leg in recording.legs}
    read: dict[Leg, int] = dict.fromkeys(recording.legs, 0)
    for block in recording.blocks():
        windows: list[Window] = []
        for leg, samples in block.items():
            windows += ears[leg].cutter.push(samples)
            read[leg] += len(samples)
        yield to_ms(min(read.values())), windows, {leg: ear.voiced() for leg, ear in ears.items()}
    left = [window for ear in ears.values() for window in ear.cutter.flush()]
    yield to_ms(min(read.values())), left, {leg: ear.voiced() for leg, ear in ears.items()}


class _Ear:
    """One leg, cut for the recogniser and for the speaker encoder."""

    def __init__(self, leg: Leg, segmenter: Segmenter, likeness: Likeness | None) -> None:
        self.cutter = Cutter(leg, segmenter, self._hear)
        self._windows = LegWindows(likeness) if likeness is not None else None
        self._voiced: list[VoiceWindow | OverlapWindow] = []

    def voiced(self) -> list[VoiceWindow | OverlapWindow]:
        """Windows since the last time this was asked."""
        voiced, self._voiced = self._voiced, []
        return voiced

    def _hear(self, speech: Sequence[Speech]) -> None:
        if self._windows is not None:
            self._voiced += self._windows.push(speech)
