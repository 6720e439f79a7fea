"""Every call's events on their way to the store: numbered, written together, then shown."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import structlog

from bridge import metrics
from bridge.errors import ConflictError, NotFoundError, StoreError
from bridge.model.call_key import CallKey
from bridge.model.events import Body, CallStarted, Event, TranscriptPartial
from bridge.model.stream import Leg
from bridge.ports import CallStore, Clock, EventBoard

log: Final = structlog.get_logger(__name__)

MOST_WAITING: Final = 10_000
"""Events in line. A full line makes publishers wait, and drops partials."""
MOST_AT_ONCE: Final = 500
"""Events in one transaction."""
GATHERED_S: Final = 0.05
"""How long a partial waits for others to share its transaction; whatever else is said takes it along at once."""
FIRST_BACKOFF_S: Final = 0.1
LONGEST_BACKOFF_S: Final = 5.0


@dataclass(slots=True, eq=False)
class _Waiting:
    """One event in line, or (`body` None) the news that its call is settled."""

    call: _Call
    time: float
    body: Body | None
    done: asyncio.Future[None] | None
    """What the publisher waits on; None for a partial."""
    overtaken: bool = False


@dataclass(slots=True, eq=False)
class _Call:
    """One open call as the journal knows it."""

    key: CallKey
    last_seq: int
    partials: dict[tuple[Leg, int], _Waiting] = field(default_factory=dict)
    """In line, by leg and segment: at most one each."""


class Journal:
    """The `EventSink` port: what all calls publish while one transaction runs goes into the next one together.

    The database being away delays events and loses none: the same batch is tried until it is kept, publishers wait,
    partials are dropped. `start` before use, `close` after.
    """

    def __init__(self, store: CallStore, board: EventBoard, clock: Clock) -> None:
        self._store = store
        self._board = board
        self._clock = clock
        self._calls: dict[CallKey, _Call] = {}
        self._line: deque[_Waiting] = deque()
        self._room = asyncio.Semaphore(MOST_WAITING)
        self._news = asyncio.Event()
        self._urgent = asyncio.Event()
        """Something in line has a publisher that waits for it."""
        self._stalled = False
        self._closing = False
        self._writer: asyncio.Task[None] | None = None

    @property
    def stalled(self) -> bool:
        """Whether the store refuses what is to be kept. It is tried again and again."""
        return self._stalled

    @property
    def waiting(self) -> int:
        """Events in line."""
        return len(self._line)

    def start(self) -> None:
        self._writer = asyncio.create_task(self._write(), name="journal")

    async def close(self, *, grace_s: float = 10.0) -> None:
        """Write what is in line, then stop. What the store has not taken after `grace_s` fails with StoreError."""
        self._closing = True
        self._news.set()
        self._urgent.set()
        if self._writer is None:
            return
        limit = asyncio.create_task(self._clock.sleep(grace_s))
        await asyncio.wait({self._writer, limit}, return_when=asyncio.FIRST_COMPLETED)
        limit.cancel()
        self._writer.cancel()
        with suppress(asyncio.CancelledError):
            await self._writer
        while self._line:
            self._fail([self._line.popleft()], StoreError("the server stopped before this could be kept"))

    def open(self, key: CallKey, *, last_seq: int = 0) -> None:
        if key in self._calls:
            raise ConflictError(f"call {key.call_id} is in progress")
        self._calls[key] = _Call(key, last_seq)

    async def publish(self, key: CallKey, body: Body) -> None:
        call = self._open(key)
        if isinstance(body, TranscriptPartial):
            self._offer(call, body)
            return
        await self._stand_in_line(call, body)

    async def settled(self, key: CallKey) -> None:
        await self._stand_in_line(self._open(key), None)

    def _open(self, key: CallKey) -> _Call:
        try:
            return self._calls[key]
        except KeyError:
            raise NotFoundError(f"call {key.call_id} is not open") from None

    async def _stand_in_line(self, call: _Call, body: Body | None) -> None:
        time = self._clock.now()
        await self._room.acquire()
        done = asyncio.get_running_loop().create_future()
        self._join(_Waiting(call, time, body, done))
        await done  # a publisher that is cancelled here has still been heard

    def _offer(self, call: _Call, partial: TranscriptPartial) -> None:
        if self._stalled or len(self._line) >= MOST_WAITING:
            return
        place = (partial.leg, partial.segment)
        if (older := call.partials.get(place)) is not None:
            older.overtaken = True
        waiting = _Waiting(call, self._clock.now(), partial, None)
        call.partials[place] = waiting
        self._join(waiting)

    def _join(self, waiting: _Waiting) -> None:
        if self._closing:
            self._fail([waiting], StoreError("the server is stopping"))
            return
        self._line.append(waiting)
        self._news.set()
        if waiting.done is not None:
            self._urgent.set()

    async def _write(self) -> None:
        while True:
            if not self._line:
                if self._closing:
                    return
                self._news.clear()
                await self._news.wait()
            if not self._urgent.is_set():
                await self._gather()
            batch = self._take()
            try:
                await self._keep(batch)
            except asyncio.CancelledError:
                self._fail(batch, StoreError("the server stopped before this could be kept"))
                raise

    async def _gather(self) -> None:
        waits = [asyncio.ensure_future(wait) for wait in (self._urgent.wait(), self._clock.sleep(GATHERED_S))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        while self._line and len(batch) < MOST_AT_ONCE:
            waiting = self._line.popleft()
            if isinstance(waiting.body, TranscriptPartial):
                if waiting.overtaken:
                    continue
                del waiting.call.partials[waiting.body.leg, waiting.body.segment]
            batch.append(waiting)
        if not self._line and not self._closing:
            self._urgent.clear()
        return batch

    async def _keep(self, batch: Sequence[_Waiting]) -> None:
        """Write, show, answer. What has no place in the store fails alone."""
        events = [_stamp(waiting, waiting.body) for waiting in batch if waiting.body is not None]
        try:
            await self._insist(lambda: self._store.append(events))
        except Exception as error:  # noqa: BLE001  # whatever is wrong with one event must not stop the others
            for waiting in batch:
                waiting.call.last_seq -= waiting.body is not None
            for part in _parts(batch):
                await self._keep(part)
            if len(batch) == 1:
                self._refuse(batch[0], error)
                if isinstance(error, NotFoundError):  # deleted before its text was settled
                    await self._board.finish(batch[0].call.key)
            return
        await self._board.show(events)
        for event in events:
            metrics.EVENTS.labels(event.type).inc()
        for waiting in batch:
            if waiting.body is None:
                await self._settle(waiting)
            else:
                self._answer(waiting)

    async def _settle(self, waiting: _Waiting) -> None:
        call = waiting.call
        try:
            await self._insist(lambda: self._store.settle(call.key, self._clock.now()))
        except Exception as error:  # noqa: BLE001  # as above
            self._refuse(waiting, error)
            return
        self._close(call)
        await self._board.finish(call.key)
        self._answer(waiting)

    async def _insist(self, write: Callable[[], Awaitable[None]]) -> None:
        """Until the store has taken it. Only the same write again is safe: the first may have been kept unheard."""
        backoff_s = FIRST_BACKOFF_S
        while True:
            try:
                await write()
            except StoreError as error:
                if not self._stalled:
                    log.warning("store refuses events, will try again", error=error.message)
                self._stalled = True
                await self._clock.sleep(backoff_s)
                backoff_s = min(backoff_s * 2, LONGEST_BACKOFF_S)
            else:
                if self._stalled:
                    log.info("store takes events again", waiting=len(self._line))
                self._stalled = False
                return

    def _refuse(self, waiting: _Waiting, error: Exception) -> None:
        """The store will never take this; its call goes on, unless this was to begin or to end it, or it is deleted."""
        kind = "settled" if waiting.body is None else waiting.body.type
        log.error("store does not take an event", call_id=waiting.call.key.call_id, type=kind, error=str(error))
        if waiting.body is None or isinstance(waiting.body, CallStarted) or isinstance(error, NotFoundError):
            self._close(waiting.call)
        self._fail([waiting], error)

    def _close(self, call: _Call) -> None:
        if self._calls.get(call.key) is call:
            del self._calls[call.key]

    def _fail(self, batch: Sequence[_Waiting], error: Exception) -> None:
        for waiting in batch:
            self._answer(waiting, error)

    def _answer(self, waiting: _Waiting, error: Exception | None = None) -> None:
        """Once; what was answered already stays so."""
        done, waiting.done = waiting.done, None
        if done is None:
            return
        self._room.release()
        if done.done():  # its publisher has gone
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)


def _parts(batch: Sequence[_Waiting]) -> list[list[_Waiting]]:
    """What to try apart when a batch was refused: call by call, then event by event."""
    if len(batch) < 2:
        return []
    by_call: dict[_Call, list[_Waiting]] = {}
    for waiting in batch:
        by_call.setdefault(waiting.call, []).append(waiting)
    return list(by_call.values()) if len(by_call) > 1 else [[waiting] for waiting in batch]


def _stamp(waiting: _Waiting, body: Body) -> Event:
    waiting.call.last_seq += 1
    return Event(
        id=f"evt_{secrets.token_hex(12)}",
        seq=waiting.call.last_seq,
        call_id=waiting.call.key.call_id,
        tenant=waiting.call.key.tenant,
        time=waiting.time,
        body=body,
    )
