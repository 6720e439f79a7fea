"""Recordings on their way to words: each becomes a call of carrier `recording`, told as if it had been heard.

An order outlives the server: its file and what is wanted of it are on the shelf, what has been told is in the store.
A server that finds one goes on behind the last words told.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from bridge.calls import CALL_ID, Calls
from bridge.deliver.guard import GuardedSession
from bridge.errors import (
    CapacityError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    TooManyRequestsError,
)
from bridge.model.call_key import CallKey
from bridge.model.recordings import CARRIER, Job, JobStatus, Order
from bridge.model.records import CallRecord, CallStatus
from bridge.ports import CallStore, Clock, Engine, EventSink, Upload
from bridge.recordings.file import probe
from bridge.spool.shelf import IncomingFile, Shelf, Shelved
from bridge.transcription import Means, Transcription, TranscriptionOptions, unreadable

log = structlog.get_logger(__name__)

AT_ONCE: Final = 4
"""Recordings in work side by side, so that a short one does not wait for a long one's end."""

RETRY_AFTER_S: Final = 30

MOST_COMING: Final = 64
"""Recordings that come in at once. Each is an open file, for as long as its sender takes."""

LOOK_AGAIN_S: Final = 30.0
"""While another server has the folder: what that one leaves is taken up here."""


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
        self._store = store
        self._calls = calls
        self._shelf = shelf
        self._clock = clock
        self._most_waiting = options.most_waiting
        self._means = Means(
            engine=engine, sink=sink, store=store, shelf=shelf, session=session, clock=clock, options=options
        )
        self._works: dict[CallKey, Transcription] = {}
        """In the order they came: those that wait (at most `most_waiting`) and those in work."""
        self._coming: set[CallKey] = set()
        """Orders that are being kept."""
        self._uploads: list[tuple[str, IncomingFile]] = []
        """Recordings that come in, by tenant; those that came are taken out when the next one begins."""
        self._closing = False

    def has(self, key: CallKey) -> bool:
        """Whether the call is a recording that is here to be finished."""
        return key in self._works

    # -- orders ----------------------------------------------------------------------------------------------------

    def check_room(self, tenant: str) -> None:
        waiting = Counter(work.order.tenant for work in self._works.values() if work.task is None)
        _check_share(tenant, waiting, self._most_waiting, "wait")

    def receive(self, tenant: str) -> Upload:
        self.check_room(tenant)
        self._uploads = [coming for coming in self._uploads if coming[1].open]
        _check_share(tenant, Counter(whose for whose, _ in self._uploads), MOST_COMING, "come in at once")
        upload = self._shelf.receive()
        self._uploads.append((tenant, upload))
        return upload

    async def submit(self, order: Order, upload: Upload | None) -> Job:
        self.check_room(order.tenant)
        if not CALL_ID.fullmatch(order.call_id):
            raise InvalidRequestError("call_id may hold letters, digits and ._:- alone", fields={"call_id": "no id"})
        if self.has(order.key) or order.key in self._coming or await self._store.knows(order.key):
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
        work.cancel()
        if work.task is None:  # its end is told at once, whoever else waits
            self._begin(work)

    def _keep(self, order: Order, upload: Upload | None) -> Shelved:
        if upload is None:
            return self._shelf.add(order, None)
        if not isinstance(upload, IncomingFile):
            raise TypeError("not an upload of this shelf")
        upload.flush()
        try:
            probe(upload.path, order.raw)
        except InvalidRequestError as error:
            raise unreadable(error, upload.path.name) from None
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
        for work in self._works.values():
            work.leave()
        tasks = [work.task for work in self._works.values() if work.task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)
        for work in self._works.values():
            if not work.finished.is_set():
                work.shelved.close()

    def _take(self, shelved: Shelved) -> Transcription:
        self._calls.reserve(shelved.order.key)
        work = self._works[shelved.order.key] = Transcription(shelved, self._means)
        return work

    def _begin_next(self) -> None:
        """As many as there is room for: of the tenant that has the fewest in work, in the order they came."""
        while not self._closing:
            busy = Counter(work.order.tenant for work in self._works.values() if work.task is not None)
            waiting = [work for work in self._works.values() if work.task is None]
            if not waiting or busy.total() >= AT_ONCE:
                return
            self._begin(min(waiting, key=lambda work: busy[work.order.tenant]))

    def _begin(self, work: Transcription) -> None:
        with structlog.contextvars.bound_contextvars(call_id=work.order.call_id):
            work.task = asyncio.create_task(self._run(work), name=f"recording {work.order.call_id}")

    async def _run(self, work: Transcription) -> None:
        if await work.run():
            self._put_away(work)

    def _put_away(self, work: Transcription) -> None:
        del self._works[work.order.key]
        self._calls.release(work.order.key)
        work.finished.set()
        work.shelved.finish()
        self._begin_next()


def _check_share(tenant: str, held: Counter[str], most: int, do: str) -> None:
    """A tenant may hold as many places as are left free, so that one with many never keeps out another's first.

    Raises CapacityError when none are, TooManyRequestsError when others must have theirs.
    """
    free = most - held.total()
    if free <= 0:
        raise CapacityError(f"{most} recordings {do}, which is all", retry_after=RETRY_AFTER_S)
    if held[tenant] >= free:
        raise TooManyRequestsError(
            f"{held[tenant]} recordings of one tenant {do}; the places left are for others", retry_after=RETRY_AFTER_S
        )


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
