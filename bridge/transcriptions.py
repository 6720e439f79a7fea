"""Recordings on their way to words: each becomes a call of carrier `recording`, told as if it had been heard.

An order outlives the server: its file and what is wanted of it are on the shelf, what has been told is in the store.
A server that finds one goes on behind the last words told.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from bridge.calls import CALL_ID, Calls
from bridge.deliver.download import download
from bridge.deliver.guard import GuardedSession
from bridge.errors import (
    BridgeError,
    CancelledJobError,
    CapacityError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    StoreError,
    UnreadableRecordingError,
)
from bridge.metrics import CALLS_ENDED, CALLS_STARTED
from bridge.model.call_key import CallKey
from bridge.model.events import (
    Body,
    CallEnded,
    CallStarted,
    MediaGap,
    SpeakerUpdated,
    TranscriptFinal,
    TranscriptRevised,
)
from bridge.model.frame import to_ms
from bridge.model.recordings import CARRIER, Job, JobStatus, Order
from bridge.model.records import CallRecord, CallStatus
from bridge.model.stream import Leg
from bridge.model.words import Segment
from bridge.ports import CallStore, Clock, Engine, EventSink, Upload, Urgency, VoiceEncoder
from bridge.recognise.heard import Revision, Undecoded
from bridge.recordings.file import Recording, look, probe
from bridge.recordings.speakers import Correction
from bridge.recordings.transcribe import Done, TranscribeOptions, tell_transcript
from bridge.speech.segmenter import Segmenter, SegmenterOptions
from bridge.spool.shelf import IncomingFile, Shelf, Shelved

log = structlog.get_logger(__name__)

AT_ONCE: Final = 4
"""Recordings in work side by side, so that a short one does not wait for a long one's end."""

LONGEST_S: Final = 24 * 3600

FETCH_S: Final = 900.0
"""For all of a recording that is fetched."""

RETRY_AFTER_S: Final = 30

MOST_COMING: Final = 64
"""Recordings that come in at once. Each is an open file, for as long as its sender takes."""

STORE_AGAIN_S: Final = 5.0

LOOK_AGAIN_S: Final = 30.0
"""While another server has the folder: what that one leaves is taken up here."""

UNKNOWN: Final = CallStarted(carrier=CARRIER, carrier_call_id="", legs=(Leg.MIXED,), codec="unknown", sample_rate=0)
"""The start of a call whose recording could not be fetched or read."""


@dataclass(slots=True, eq=False)
class _Work:
    """One order here."""

    shelved: Shelved
    task: asyncio.Task[None] | None = None
    """None while it waits."""
    doing: asyncio.Task[None] | None = None
    """The part of `task` that may be taken back."""
    duration_ms: int | None = None
    done_ms: int = 0
    is_call: bool = False
    """Its call has begun: the store knows it."""
    cancelled: bool = False
    finished: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def order(self) -> Order:
        return self.shelved.order

    def as_job(self) -> Job:
        return Job(
            call_id=self.order.call_id,
            status=JobStatus.QUEUED if self.task is None else JobStatus.IN_PROGRESS,
            created_at=self.order.created_at,
            progress=round(self.done_ms / self.duration_ms, 3) if self.duration_ms else 0.0,
            duration_ms=self.duration_ms,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionOptions:
    """What is the same for all recordings."""

    language: str | None
    """Where an order names none; None: found once a leg, then held."""
    segmenter: Callable[[], Segmenter] = lambda: Segmenter(SegmenterOptions())
    voices: VoiceEncoder | None = None
    """Tells speakers apart for orders that ask for it."""
    windows_at_once: int = 8
    """Of one recording."""
    most_waiting: int = 100


class Transcriptions:
    """Fills the `Transcriber` port. `look` before the first call may come, `run` beside all others, `close` at the end:
    what is not done by then is for the next start.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        sink: EventSink,
        store: CallStore,
        calls: Calls,
        shelf: Shelf,
        session: GuardedSession,
        clock: Clock,
        options: TranscriptionOptions,
    ) -> None:
        self._engine = engine
        self._sink = sink
        self._store = store
        self._calls = calls
        self._shelf = shelf
        self._session = session
        self._clock = clock
        self._options = options
        self._works: dict[CallKey, _Work] = {}
        """In the order they came: those that wait (at most `most_waiting`) and those in work."""
        self._coming: set[CallKey] = set()
        """Orders that are being kept."""
        self._uploads: list[IncomingFile] = []
        """Recordings that come in; those that came are taken out when the next one begins."""
        self._closing = False

    def has(self, key: CallKey) -> bool:
        """Whether the call is a recording that is here to be finished."""
        return key in self._works

    # -- orders ----------------------------------------------------------------------------------------------------

    def check_room(self) -> None:
        if sum(work.task is None for work in self._works.values()) >= self._options.most_waiting:
            raise CapacityError("too many recordings wait", retry_after=RETRY_AFTER_S)

    def receive(self) -> Upload:
        self.check_room()
        self._uploads = [upload for upload in self._uploads if upload.open]
        if len(self._uploads) >= MOST_COMING:
            raise CapacityError("too many recordings come in at once", retry_after=RETRY_AFTER_S)
        self._uploads.append(self._shelf.receive())
        return self._uploads[-1]

    async def submit(self, order: Order, upload: Upload | None) -> Job:
        self.check_room()
        if not CALL_ID.fullmatch(order.call_id):
            raise InvalidRequestError("call_id may hold letters, digits and ._:- alone", fields={"call_id": "no id"})
        if self.has(order.key) or order.key in self._coming or await self._is_kept(order):
            raise ConflictError(f"call {order.call_id} exists already")
        self._coming.add(order.key)
        try:
            shelved = await asyncio.to_thread(self._keep, order, upload)
        finally:
            self._coming.discard(order.key)
        work = self._take(shelved)
        self._begin_next()
        return work.as_job()

    async def job(self, tenant: str, call_id: str) -> Job:
        if (work := self._works.get(CallKey(tenant, call_id))) is not None:
            return work.as_job()
        record = await self._store.call(tenant, call_id)
        if record.carrier != CARRIER:
            raise NotFoundError(f"no recording {call_id}")
        return _ended_job(record)

    def waiting(self, tenant: str) -> Sequence[Order]:
        mine = [work.order for work in self._works.values() if work.order.tenant == tenant and not work.is_call]
        return mine[::-1]

    async def finished(self, tenant: str, call_id: str) -> None:
        if (work := self._works.get(CallKey(tenant, call_id))) is not None:
            await work.finished.wait()

    async def cancel(self, tenant: str, call_id: str) -> None:
        work = self._works.get(CallKey(tenant, call_id))
        if work is None:
            await self.job(tenant, call_id)
            raise ConflictError(f"recording {call_id} is done already")
        work.cancelled = True
        if work.task is None:  # its end is told at once, whoever else waits
            self._begin(work)
        elif work.doing is not None:
            work.doing.cancel()

    async def _is_kept(self, order: Order) -> bool:
        try:
            await self._store.call(order.tenant, order.call_id)
        except NotFoundError:
            return False
        return True

    def _keep(self, order: Order, upload: Upload | None) -> Shelved:
        if upload is None:
            return self._shelf.add(order, None)
        if not isinstance(upload, IncomingFile):
            raise TypeError("not an upload of this shelf")
        upload.flush()
        try:
            probe(upload.path, order.raw)
        except InvalidRequestError as error:
            raise _unreadable(error, upload.path.name) from None
        return self._shelf.add(order, upload)

    # -- taking up -------------------------------------------------------------------------------------------------

    async def look(self) -> None:
        """Take up what an earlier process has left."""
        for shelved in await asyncio.to_thread(self._shelf.left_behind):
            self._take(shelved)
        if self._works:
            log.info("recordings are taken up again", recordings=len(self._works))

    async def run(self, alone: Callable[[], bool]) -> None:
        """Begin what was left; look again for as long as this process is not `alone` with the folder."""
        self._begin_next()
        while not await asyncio.to_thread(alone):
            await self._clock.sleep(LOOK_AGAIN_S)
            await self.look()
            self._begin_next()

    async def close(self) -> None:
        """Stop all work where it is."""
        self._closing = True
        tasks = [work.task for work in self._works.values() if work.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for work in self._works.values():
            if not work.finished.is_set():
                work.shelved.close()

    def _take(self, shelved: Shelved) -> _Work:
        self._calls.reserve(shelved.order.key)
        work = self._works[shelved.order.key] = _Work(shelved)
        return work

    def _begin_next(self) -> None:
        """As many as there is room for: of the tenant that has the fewest in work, in the order they came."""
        while not self._closing:
            busy = Counter(work.order.tenant for work in self._works.values() if work.task is not None)
            waiting = [work for work in self._works.values() if work.task is None]
            if not waiting or busy.total() >= AT_ONCE:
                return
            self._begin(min(waiting, key=lambda work: busy[work.order.tenant]))

    def _begin(self, work: _Work) -> None:
        with structlog.contextvars.bound_contextvars(call_id=work.order.call_id):
            work.task = asyncio.create_task(self._run(work), name=f"recording {work.order.call_id}")

    # -- one recording ---------------------------------------------------------------------------------------------

    async def _run(self, work: _Work) -> None:
        """To its end; cancelled by a shutdown, it stays as it is."""
        telling = _Telling(work.order, self._sink)
        try:
            failed = await self._outcome(work, telling)
            if failed is not None:
                await telling.fail(failed)
            await telling.settled()
        except ConflictError as error:  # its id belongs to another call: nothing can be told
            log.warning("a recording has no place", reason=error.message)
        except BridgeError as error:  # only a server that stops is refused by its store
            log.warning("a recording is left to the next start", code=error.code, reason=error.message)
            return
        self._put_away(work)

    async def _outcome(self, work: _Work, telling: _Telling) -> str | None:
        """None once all is told, else the code of what went wrong. Raises ConflictError."""
        work.doing = asyncio.create_task(self._put_into_words(work, telling))
        if work.cancelled:
            work.doing.cancel()
        try:
            await work.doing
        except asyncio.CancelledError:
            if self._closing or not work.cancelled:
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

    def _put_away(self, work: _Work) -> None:
        del self._works[work.order.key]
        self._calls.release(work.order.key)
        work.finished.set()
        work.shelved.finish()
        self._begin_next()

    async def _told_before(self, order: Order) -> tuple[CallRecord | None, dict[Leg, Done]]:
        """What an earlier process has told; a store that is away is waited for."""
        while True:
            try:
                record = await self._store.call(order.tenant, order.call_id)
                return record, _done(await self._store.segments(order.tenant, order.call_id))
            except NotFoundError:
                return None, {}
            except StoreError as error:
                log.warning("the store is away, a recording waits", reason=error.message)
                await self._clock.sleep(STORE_AGAIN_S)

    async def _put_into_words(self, work: _Work, telling: _Telling) -> None:
        order = work.order
        record, done = await self._told_before(order)
        if record is not None:
            work.is_call = True
            telling.go_on(record)
            if record.ended_at is not None:
                return
        if order.url is not None and not work.shelved.audio.exists():
            await self._fetch(work, order.url)
        recording = await asyncio.to_thread(self._look, work)
        work.duration_ms = recording.duration_ms
        await telling.start(recording)
        work.is_call = True

        def progress(done_ms: int) -> None:
            work.done_ms = done_ms

        options = TranscribeOptions(
            language=order.language or self._options.language,
            keywords=order.keywords,
            segmenter=self._options.segmenter,
            urgency=Urgency.RECORDING,
            at_once=self._options.windows_at_once,
            voices=self._options.voices if order.diarize else None,
            done=done,
        )
        await tell_transcript(
            recording,
            self._engine,
            self._clock,
            options,
            tell=telling.tell,
            correct=telling.correct,
            progress=progress,
        )
        await telling.end(CallEnded(reason="closed", duration_ms=recording.duration_ms))

    def _look(self, work: _Work) -> Recording:
        path = work.shelved.audio

        def go_on() -> bool:
            return not (work.cancelled or self._closing)

        try:
            return look(path, work.order.raw, longest_s=LONGEST_S, go_on=go_on)
        except InvalidRequestError as error:
            raise _unreadable(error, str(path)) from None

    async def _fetch(self, work: _Work, url: str) -> None:
        upload = self._shelf.receive(work.shelved)
        try:
            await download(self._session, url, upload.write, most_bytes=upload.limit, within_s=FETCH_S)
            await asyncio.to_thread(upload.keep)
            upload.let_go()
        finally:
            upload.discard()


class _Telling:
    """One recording's events, from wherever an earlier process has stopped."""

    def __init__(self, order: Order, sink: EventSink) -> None:
        self._order = order
        self._sink = sink
        self._open = False
        self._started = False
        self._ended = False
        self._heard_ms = 0

    def go_on(self, record: CallRecord) -> None:
        """The call is known."""
        self._sink.open(record.key, last_seq=record.last_seq)
        self._open = self._started = True
        self._ended = record.ended_at is not None

    async def start(self, recording: Recording) -> None:
        await self._start(legs=recording.legs, codec=recording.codec, sample_rate=recording.sample_rate)

    async def tell(self, segments: Sequence[Segment], undecoded: Sequence[Undecoded]) -> None:
        for segment in segments:
            self._heard_ms = max(self._heard_ms, segment.end_ms)
            await self._publish(TranscriptFinal.of(segment))
        for lost in undecoded:
            at_ms, missing_ms = to_ms(lost.position), to_ms(lost.samples)
            await self._publish(MediaGap(leg=lost.leg, at_ms=at_ms, missing_ms=missing_ms, reason="undecoded"))

    async def correct(self, corrections: Sequence[Correction]) -> None:
        for one in corrections:
            if isinstance(one, Revision):
                await self._publish(TranscriptRevised(leg=one.leg, replaces=one.replaces, segments=one.segments))
            else:
                await self._publish(SpeakerUpdated(leg=one.leg, segment=one.segment, speaker=one.speaker))

    async def end(self, ending: CallEnded) -> None:
        self._ended = True
        await self._publish(ending)
        CALLS_ENDED.labels(CARRIER, ending.reason).inc()

    async def fail(self, code: str) -> None:
        """It ends here. Raises ConflictError when there is no such call to be ended."""
        if self._ended:
            return
        await self._start(legs=UNKNOWN.legs, codec=UNKNOWN.codec, sample_rate=UNKNOWN.sample_rate)
        await self.end(CallEnded(reason="error", duration_ms=self._heard_ms, error=code))

    async def settled(self) -> None:
        """No text is revised: the finals had all the context there is."""
        await self._sink.settled(self._order.key)

    async def _start(self, *, legs: tuple[Leg, ...], codec: str, sample_rate: int) -> None:
        if self._started:
            return
        order = self._order
        if not self._open:
            self._sink.open(order.key)
            self._open = True
        self._started = True
        await self._publish(
            CallStarted(
                carrier=CARRIER,
                carrier_call_id=order.name,
                legs=legs,
                codec=codec,
                sample_rate=sample_rate,
                metadata=order.metadata,
            )
        )
        CALLS_STARTED.labels(CARRIER).inc()

    async def _publish(self, body: Body) -> None:
        await self._sink.publish(self._order.key, body)


def _done(segments: Sequence[Segment]) -> dict[Leg, Done]:
    done: dict[Leg, Done] = {}
    for said in segments:
        before = done.get(said.leg)
        if before is None or said.segment > before.segment:
            until_ms = max(said.end_ms, before.until_ms if before is not None else 0)
            done[said.leg] = Done(segment=said.segment, until_ms=until_ms, language=said.language)
    return done


def _unreadable(error: InvalidRequestError, path: str) -> UnreadableRecordingError:
    """The fault without the name that the file has here."""
    return UnreadableRecordingError(f"the recording: {error.message.rpartition(f'{path}: ')[2]}")


def _ended_job(record: CallRecord) -> Job:
    """Of a call that no order here belongs to: it has ended, or another server has it."""
    statuses = {
        CallStatus.IN_PROGRESS: JobStatus.IN_PROGRESS,
        CallStatus.COMPLETED: JobStatus.COMPLETED,
        CallStatus.FAILED: JobStatus.FAILED,
    }
    return Job(
        call_id=record.call_id,
        status=statuses[record.status],
        created_at=record.started_at,
        progress=1.0 if record.status is CallStatus.COMPLETED else 0.0,
        duration_ms=record.duration_ms,
        error=record.error,
    )
