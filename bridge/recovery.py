"""Calls that an earlier process left unfinished, brought to their end: one that was killed, or drained out of time.

a tape, no end          heard again from its beginning, told on from where it was cut off, ended as `recovered`
                        (`drained` where its process had said so)
an end, no settled text settled as it stands
no end, no tape         ended with the error `interrupted`

Where servers share a database, each does this for those that have died, too: a call is taken from a server whose lease
has run out, by one alone, and its tape once nobody has a lock on it.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar

import structlog

from bridge.call import Told
from bridge.calls import Calls
from bridge.errors import ConflictError, InterruptedCallError, NotFoundError, SpoolError, StoreError
from bridge.model import recordings
from bridge.model.call_key import CallKey
from bridge.model.events import Body, CallEnded, CallStarted, Event, TranscriptFinal, body_to_dict
from bridge.model.records import CallRecord
from bridge.model.stream import Leg, StreamItem, StreamStarted, StreamStopped
from bridge.model.words import Segment
from bridge.ports import CallStore, Clock, EventSink, NodeStore
from bridge.spool.file import LeftTape
from bridge.spool.reading import read_blocks
from bridge.spool.spool import Spool

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")

AT_ONCE: Final = 4
"""Calls heard again side by side: enough for full batches, and new calls go first anyway."""

LOOK_AGAIN_S: Final = 5.0
"""While another server has the folder: one that drains leaves its last calls to this one. Or the store is away."""

LOOK_AT_OTHERS_S: Final = 2.0
"""Where servers share the database: how soon a dead one's calls are taken up."""

TAPE_AWAITED_S: Final = 60.0
"""A dead server's call has a tape somewhere: it may be another that finds it, or that server come back."""

LONGEST_CALL_S: Final = 24 * 3600.0
"""A call without a tape here may be another server's, on a database that several can share; not for longer."""

EVENTS_AT_ONCE: Final = 1000

DRAINED: Final = "drained"
RECOVERED: Final = "recovered"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Left:
    """One call to be finished; at least one of the two is there."""

    key: CallKey
    record: CallRecord | None
    tape: LeftTape | None


class _Store(CallStore, NodeStore, Protocol):
    """What is asked here."""


class Recovery:
    """`look` before the first call may come, `run` beside the calls of this process."""

    def __init__(
        self,
        *,
        store: _Store,
        sink: EventSink,
        spool: Spool,
        calls: Calls,
        clock: Clock,
        shared: bool,
        elsewhere: Callable[[CallKey], bool] = lambda _: False,
        may_judge: Callable[[], bool] = lambda: True,
    ) -> None:
        """`shared`: other servers may use the same store. `elsewhere`: whether a call is finished by others.
        `may_judge`: see `Lease`.
        """
        self._store = store
        self._sink = sink
        self._spool = spool
        self._calls = calls
        self._clock = clock
        self._shared = shared
        self._elsewhere = elsewhere
        self._may_judge = may_judge
        self._awaited: dict[CallKey, float] = {}
        """Since when a dead server's call without a tape is known."""
        self._left: list[_Left] = []
        self._alone = False
        self._room = asyncio.Semaphore(AT_ONCE)

    async def look(self) -> None:
        """Find what was left, and keep its ids from new calls. Raises StoreError."""
        alone = await asyncio.to_thread(self._spool.alone)
        tapes = await asyncio.to_thread(self._spool.left_behind)
        self._alone = alone and self._spool.found_all
        own, judging = self._calls.own(), self._may_judge()
        try:
            records = await self._store.unfinished()
        except BaseException:
            for tape in tapes:
                tape.close()  # for the next look
            raise
        unfinished = {
            record.key: record
            for record in records
            if not self._elsewhere(record.key) and (record.node is None or judging)
        }
        for key in own | self._calls.own():  # those that began or ended meanwhile are ours, too
            unfinished.pop(key, None)
        for tape in tapes:
            key = tape.header.key
            self._left.append(_Left(key=key, record=unfinished.pop(key, None), tape=tape))
        self._awaited = {key: since for key, since in self._awaited.items() if key in unfinished}
        for record in unfinished.values():
            if record.ended_at is not None or self._is_nobodys(record):
                self._left.append(_Left(key=record.key, record=record, tape=None))
        for left in self._left:
            self._calls.reserve(left.key)
        if self._left:
            log.info("calls were left unfinished", calls=len(self._left))

    def _is_nobodys(self, record: CallRecord) -> bool:
        """Of a call without a tape. Its age counts only where it may be another server's: wall clocks are set, too."""
        if self.alone or record.started_at < self._clock.now() - LONGEST_CALL_S:
            return True
        if (
            record.node is None or record.carrier == recordings.CARRIER
        ):  # an order on some server's shelf says how it goes on
            return False
        now = self._clock.monotonic()
        return now - self._awaited.setdefault(record.key, now) >= TAPE_AWAITED_S

    @property
    def alone(self) -> bool:
        """Whether every other process that used this store has gone, and nothing of it is still to be found. After
        `look`.
        """
        return self._alone and not self._shared

    async def run(self) -> None:
        """Finish all that was left, until nobody is there to leave more."""
        while True:
            left, self._left = self._left, []
            async with asyncio.TaskGroup() as tasks:
                for one in left:
                    tasks.create_task(self._finish(one))
            if self.alone:
                return
            await self._clock.sleep(LOOK_AT_OTHERS_S if self._shared else LOOK_AGAIN_S)
            await self._insist(self.look)

    async def _insist(self, question: Callable[[], Awaitable[Answer]]) -> Answer:
        """Until the store answers: no call waits for another start because the database was away for a moment."""
        while True:
            try:
                return await question()
            except StoreError as error:
                log.warning("unfinished calls cannot be read, will try again", error=error.message)
                await self._clock.sleep(LOOK_AGAIN_S)

    async def _finish(self, left: _Left) -> None:
        """Whatever goes wrong with one call is nothing to the others: its tape stays for another start."""
        with structlog.contextvars.bound_contextvars(call_id=left.key.call_id):
            try:
                async with self._room:
                    await self._finish_one(left)
            except Exception:
                log.exception("a call could not be finished")
            finally:
                self._calls.release(left.key)
                if left.tape is not None:
                    left.tape.close()

    async def _finish_one(self, left: _Left) -> None:
        record, tape = left.record, left.tape
        if record is not None and not await self._insist(lambda: self._store.adopt(record)):
            return  # another server was faster
        if record is None and tape is not None and await self._insist(lambda: self._is_anothers(tape)):
            return
        if record is not None and record.ended_at is not None:
            self._sink.open(record.key, last_seq=record.last_seq)
            await self._sink.settled(record.key)
        elif tape is not None and (record is not None or await self._insist(lambda: self._is_new(tape))):
            await self._tell_rest(tape, record)
            return
        elif record is not None:
            await self._give_up(record)
        if tape is not None:
            tape.finish()

    async def _is_anothers(self, tape: LeftTape) -> bool:
        """Whether a server that may live has the call."""
        try:
            return not (await self._store.call(tape.header.tenant, tape.header.call_id)).settled
        except NotFoundError:
            return False

    async def _is_new(self, tape: LeftTape) -> bool:
        """Whether the call was cut off before even its start was kept; otherwise it is settled."""
        return not await self._store.knows(tape.header.key)

    async def _tell_rest(self, tape: LeftTape, record: CallRecord | None) -> None:
        key = tape.header.key
        kept = [] if record is None else await self._insist(lambda: self._events(record))
        said = [] if record is None else await self._insist(lambda: self._store.segments(*key))
        replay = _Replay(tape)
        items = replay.items()
        started = await anext(items)
        if not isinstance(started, StreamStarted):
            raise SpoolError(f"{tape.path.name} does not begin with a stream's start")
        self._sink.open(key, last_seq=kept[-1].seq if kept else 0)
        sink = Resumed(self._sink, [event.body for event in kept])
        began_at = self._clock.monotonic()
        try:
            await self._calls.finish(key, started, items, sink=sink, told=_told(kept, said))
        except* ConflictError:
            if record is not None:
                raise
            log.warning("the id of an unfinished call belongs to another")
        log.info("call recovered", seconds=round(self._clock.monotonic() - began_at, 2))
        if replay.damaged:
            tape.set_aside()
        else:
            tape.finish()

    async def _give_up(self, record: CallRecord) -> None:
        segments = await self._insist(lambda: self._store.segments(record.tenant, record.call_id))
        heard_ms = max((segment.end_ms for segment in segments), default=0)
        self._sink.open(record.key, last_seq=record.last_seq)
        await self._sink.publish(
            record.key, CallEnded(reason="error", duration_ms=heard_ms, error=InterruptedCallError.code)
        )
        await self._sink.settled(record.key)
        log.warning("a call was interrupted and left no tape")

    async def _events(self, record: CallRecord) -> Sequence[Event]:
        events: list[Event] = []
        while True:
            after = events[-1].seq if events else 0
            page = await self._store.events(record.tenant, record.call_id, after=after, limit=EVENTS_AT_ONCE)
            events += page
            if len(page) < EVENTS_AT_ONCE:
                return events


class Resumed:
    """An `EventSink` for one call that is heard a second time: what was kept the first time is not told again."""

    def __init__(self, sink: EventSink, kept: Sequence[Body]) -> None:
        self._sink = sink
        self._kept = Counter(map(_same, kept))

    def open(self, key: CallKey, *, last_seq: int = 0) -> None:
        self._sink.open(key, last_seq=last_seq)

    async def publish(self, key: CallKey, body: Body) -> None:
        said = _same(body)
        if self._kept[said] > 0:
            self._kept[said] -= 1
        else:
            await self._sink.publish(key, body)

    async def settled(self, key: CallKey) -> None:
        await self._sink.settled(key)


class _Replay:
    """A tape as the items of a call."""

    def __init__(self, tape: LeftTape) -> None:
        self._blocks = read_blocks(tape.path)
        self.damaged = False

    async def items(self) -> AsyncGenerator[StreamItem, None]:
        """All that was kept, a stop at the end. Raises SpoolError where the file is damaged."""
        reason = RECOVERED
        while (block := await asyncio.to_thread(self._next_block)) is not None:
            for item in block:
                if not isinstance(item, StreamStopped):
                    yield item
                elif item.reason == DRAINED:
                    reason = DRAINED
        yield StreamStopped(reason=reason)

    def _next_block(self) -> list[StreamItem] | None:
        try:
            return next(self._blocks, None)
        except SpoolError:
            self.damaged = True
            raise


def _same(body: Body) -> str:
    """Equal for bodies that say the same. There is one start, however it was written by the version before."""
    return body.type if isinstance(body, CallStarted) else f"{body.type} {json.dumps(body_to_dict(body), default=str)}"


def _told(kept: Sequence[Event], said: Sequence[Segment]) -> Mapping[Leg, Told]:
    """A leg is told in order: all that it said up to the end of its last final has been dealt with."""
    told: dict[Leg, Told] = {}
    for event in kept:
        if isinstance(final := event.body, TranscriptFinal):
            before = told.get(final.leg, Told())
            told[final.leg] = Told(
                until_ms=max(before.until_ms, final.end_ms),
                segments=max(before.segments, final.segment),
                language=final.language,
            )
    return {leg: _with_said(one, [segment for segment in said if segment.leg is leg]) for leg, one in told.items()}


def _with_said(told: Told, said: Sequence[Segment]) -> Told:
    """Some may have been cut in two since they were told."""
    return replace(told, said=tuple(said), segments=max([told.segments, *(segment.segment for segment in said)]))
