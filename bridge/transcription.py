"""One recording put into words: from its order on the shelf to a call that is told and settled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from bridge.deliver.download import download
from bridge.deliver.guard import GuardedSession
from bridge.errors import (
    BridgeError,
    CancelledJobError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    StoreError,
    UnreadableRecordingError,
)
from bridge.model.events import CallEnded
from bridge.model.likeness import Vector
from bridge.model.recordings import Job, JobStatus, Order
from bridge.model.records import CallRecord
from bridge.model.stream import Leg
from bridge.model.words import Segment
from bridge.naming import KnownOf
from bridge.ports import CallStore, Clock, Engine, EventSink, Urgency, VoiceEncoder
from bridge.recordings.file import Recording, look
from bridge.recordings.telling import Telling
from bridge.recordings.transcribe import Done, TranscribeOptions, tell_transcript
from bridge.speech.segmenter import Segmenter, SegmenterOptions
from bridge.spool.shelf import Shelf, Shelved

log = structlog.get_logger(__name__)

LONGEST_S: Final = 24 * 3600

FETCH_S: Final = 900.0
"""For all of a recording that is fetched."""

STORE_AGAIN_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionOptions:
    """What is the same for all recordings."""

    language: str | None
    """Where an order names none; None: found once a leg, then held."""
    segmenter: Callable[[], Segmenter] = lambda: Segmenter(SegmenterOptions())
    known: KnownOf | None = None
    """Voices of a tenant that have a name of their own."""
    voices: VoiceEncoder | None = None
    """Tells speakers apart for orders that ask for it."""
    windows_at_once: int = 8
    """Of one recording."""
    most_waiting: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What every recording is put into words with."""

    engine: Engine
    sink: EventSink
    store: CallStore
    shelf: Shelf
    session: GuardedSession
    clock: Clock
    options: TranscriptionOptions


class Transcription:
    """One order here. Whoever runs it puts the task into `task`, which is None while it waits."""

    def __init__(self, shelved: Shelved, means: Means) -> None:
        self.shelved = shelved
        self._means = means
        self.task: asyncio.Task[None] | None = None
        self._doing: asyncio.Task[None] | None = None
        """The part of `run` that may be taken back."""
        self._duration_ms: int | None = None
        self._done_ms = 0
        self.is_call = False
        """Its call has begun: the store knows it."""
        self._cancelled = False
        self._leaving = False
        self.finished = asyncio.Event()

    @property
    def order(self) -> Order:
        return self.shelved.order

    def as_job(self) -> Job:
        return Job(
            call_id=self.order.call_id,
            status=JobStatus.QUEUED if self.task is None else JobStatus.IN_PROGRESS,
            created_at=self.order.created_at,
            progress=round(self._done_ms / self._duration_ms, 3) if self._duration_ms else 0.0,
            duration_ms=self._duration_ms,
        )

    def cancel(self) -> None:
        """Its owner does not want it any more: the call fails as `cancelled`."""
        self._cancelled = True
        if self._doing is not None:
            self._doing.cancel()

    def leave(self) -> None:
        """The server stops: what is not done is for the next start."""
        self._leaving = True
        if self.task is not None:
            self.task.cancel()

    async def run(self) -> bool:
        """To its end; cancelled by a shutdown, it stays as it is. Whether there is nothing left to be done."""
        telling = Telling(self.order, self._means.sink)
        try:
            failed = await self._outcome(telling)
            if failed is not None:
                await telling.fail(failed)
            await telling.settled()
        except ConflictError as error:  # its id belongs to another call: nothing can be told
            log.warning("a recording has no place", reason=error.message)
        except BridgeError as error:  # only a server that stops is refused by its store
            log.warning("a recording is left to the next start", code=error.code, reason=error.message)
            return False
        return True

    async def _outcome(self, telling: Telling) -> str | None:
        """None once all is told, else the code of what went wrong. Raises ConflictError."""
        self._doing = asyncio.create_task(self._put_into_words(telling))
        if self._cancelled:
            self._doing.cancel()
        try:
            await self._doing
        except asyncio.CancelledError:
            if self._leaving or not self._cancelled:
                raise
            return CancelledJobError.code
        except ConflictError:
            raise
        except BridgeError as error:
            log.warning("a recording came to nothing", code=error.code, reason=error.message)
            return error.code
        except Exception:
            log.exception("a recording could not be transcribed")
            return BridgeError.code
        return None

    async def _told_before(self) -> tuple[CallRecord | None, dict[Leg, Done]]:
        """What an earlier process has told; a store that is away is waited for."""
        while True:
            try:
                record = await self._means.store.call(*self.order.key)
                return record, _done(await self._means.store.segments(*self.order.key))
            except NotFoundError:
                return None, {}
            except StoreError as error:
                log.warning("the store is away, a recording waits", reason=error.message)
                await self._means.clock.sleep(STORE_AGAIN_S)

    async def _put_into_words(self, telling: Telling) -> None:
        order, means = self.order, self._means
        record, done = await self._told_before()
        if record is not None:
            self.is_call = True
            telling.go_on(record)
            if record.ended_at is not None:
                return
        if order.url is not None and not self.shelved.audio.exists():
            await self._fetch(order.url)
        recording = await asyncio.to_thread(self._look)
        self._duration_ms = recording.duration_ms
        await telling.start(recording)
        self.is_call = True

        def progress(done_ms: int) -> None:
            self._done_ms = done_ms

        options = TranscribeOptions(
            language=order.language or means.options.language,
            keywords=order.keywords,
            segmenter=means.options.segmenter,
            urgency=Urgency.RECORDING,
            at_once=means.options.windows_at_once,
            voices=means.options.voices if order.diarize else None,
            known=await self._known(),
            done=done,
        )
        await tell_transcript(
            recording,
            means.engine,
            means.clock,
            options,
            tell=telling.tell,
            correct=telling.correct,
            progress=progress,
        )
        await telling.end(CallEnded(reason="closed", duration_ms=recording.duration_ms))

    async def _known(self) -> Mapping[str, Vector]:
        """A store that is away leaves speakers without names of their own: the words do not wait for those."""
        known = self._means.options.known
        if known is None or not self.order.diarize:
            return {}
        try:
            return await known(self.order.tenant)
        except StoreError as error:
            log.warning("known voices cannot be read", reason=error.message)
            return {}

    def _look(self) -> Recording:
        path = self.shelved.audio

        def go_on() -> bool:
            return not (self._cancelled or self._leaving)

        try:
            return look(path, self.order.raw, longest_s=LONGEST_S, go_on=go_on)
        except InvalidRequestError as error:
            raise unreadable(error, str(path)) from None

    async def _fetch(self, url: str) -> None:
        upload = self._means.shelf.receive(self.shelved)
        try:
            await download(self._means.session, url, upload.write, most_bytes=upload.limit, within_s=FETCH_S)
            await asyncio.to_thread(upload.keep)
            upload.let_go()
        finally:
            upload.discard()


def _done(segments: Sequence[Segment]) -> dict[Leg, Done]:
    done = {}
    for leg in {segment.leg for segment in segments}:
        said = tuple(segment for segment in segments if segment.leg is leg)
        last = max(said, key=lambda segment: segment.segment)
        until_ms = max(segment.end_ms for segment in said)
        done[leg] = Done(segment=last.segment, until_ms=until_ms, language=last.language, said=said)
    return done


def unreadable(error: InvalidRequestError, path: str) -> UnreadableRecordingError:
    """The fault without the name that the file has here."""
    return UnreadableRecordingError(f"the recording: {error.message.rpartition(f'{path}: ')[2]}")
