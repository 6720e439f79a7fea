"""Who is decoded next: one queue for every call of the process, earliest need first, like windows together.

Finals and what may become one go first, then partials, then settling. Finals are never shed. Everything here
runs on the event loop; the decoding itself is the workers' affair.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Protocol, TypeAlias

import structlog

from bridge.errors import EngineError
from bridge.ports import Clock, Decoded, DecodeJob, Urgency
from bridge.recognise.cost import Cost, P

log = structlog.get_logger()

SHED_PARTIAL_S: Final = 1.0
"""A partial this late shows what nobody waits for any more."""

RANK: Final = {
    Urgency.FINAL: 0,
    Urgency.SPECULATIVE: 0,
    Urgency.PARTIAL: 1,
    Urgency.SETTLE: 2,
    Urgency.RECORDING: 3,
}
"""A speculation is a final that knows when it will be needed: its deadline alone puts it behind those that are."""

JOIN_S: Final = 4
"""Windows of one batch differ by so much at most: each is encoded as it is, but decoded as long as the longest."""

HOLD_FROM: Final = 0.5
"""The load from which jobs wait for company: a speculation as long as it will still be there when it is needed."""

HOLD_S: Final = 0.12
"""What all wait that are not needed at once, even where decoding takes all the time there is: company makes room."""

MARGIN_S: Final = 0.1

SETTLE_BELOW: Final = 0.5
"""The load under which settling starts before its deadline."""

LOAD_MEMORY_S: Final = 3.0
"""How far back the measured load looks."""

QUIET_S: Final = 10.0
"""So long after the last job of a live call, recordings may have all workers, and batches."""

LOOK_AGAIN_S: Final = 1.0
"""While what can wait waits for the load to fall."""


Tell: TypeAlias = Callable[[Decoded], None]
"""Is given what a batch says, job after job."""


class Workers(Protocol[P]):
    """Where batches are decoded: threads over one model, or a test's script on a virtual clock."""

    @property
    def count(self) -> int:
        """Batches that can run side by side."""
        ...

    def plan(self, job: DecodeJob) -> P:
        """Raises EngineError for a job that cannot be decoded."""
        ...

    async def decode(self, plans: Sequence[P], tell: Tell) -> None:
        """Plans with as many previous tokens each: tell what they say in their order, each as soon as it is known.
        Raises EngineError; what has been told by then stands.

        Cancelled, it gives up the batch and what runs it.
        """
        ...

    async def close(self) -> None: ...


@dataclass(slots=True, kw_only=True)
class SchedulerStats:
    """What the scheduler has done, for /metrics and `bench`."""

    decoded: dict[Urgency, int] = field(default_factory=lambda: dict.fromkeys(Urgency, 0))
    shed: dict[Urgency, int] = field(default_factory=lambda: dict.fromkeys(Urgency, 0))
    retried: int = 0
    failed: int = 0
    batches: dict[int, int] = field(default_factory=dict)
    windows: dict[int, int] = field(default_factory=dict)
    busy_s: float = 0.0
    speech_s: float = 0.0
    """Seconds of samples in decoded finals."""


@dataclass(slots=True, eq=False)
class _Waiting(Generic[P]):
    plan: P
    result: asyncio.Future[Decoded | None]
    order: int
    came: float
    """On the engine's monotonic clock."""
    tries: int = 0

    @property
    def rank(self) -> tuple[int, float, int]:
        return RANK[self.plan.job.urgency], self.plan.job.deadline, self.order

    @property
    def optional(self) -> bool:
        """Whether finals go first."""
        return self.plan.job.urgency in {Urgency.PARTIAL, Urgency.SETTLE, Urgency.RECORDING}

    @property
    def is_live(self) -> bool:
        return self.plan.job.urgency is not Urgency.RECORDING


class Scheduler(Generic[P]):
    """Fills the `Engine` port over a set of workers.

    The queue is bounded by its callers: each leg has at most one partial, one speculation, its finals and one
    settling in it, a leg with too much speech undecoded stops listening until some is done, and a recording has as
    many windows in it as its options say.
    """

    def __init__(self, workers: Workers[P], clock: Clock, *, max_batch: int = 4) -> None:
        self._workers = workers
        self._clock = clock
        self._max_batch = max_batch
        self._waiting: list[_Waiting[P]] = []
        self._running: set[asyncio.Task[None]] = set()
        self._optional = 0
        """Workers busy with what finals need not wait for."""
        self._order = itertools.count()
        self._load = _Load(clock, workers.count)
        """Of live calls: recordings take what is left."""
        self._live_at = -math.inf
        """When the last job of a live call came."""
        self._cost = Cost()
        self._alarm: asyncio.Task[None] | None = None
        self._alarm_at = math.inf
        self._closing = False
        self.stats = SchedulerStats()

    async def decode(self, job: DecodeJob) -> Decoded | None:
        """See `bridge.ports.Engine.decode`."""
        entry = _Waiting(
            self._workers.plan(job),
            asyncio.get_running_loop().create_future(),
            next(self._order),
            self._clock.monotonic(),
        )
        self._waiting.append(entry)
        if entry.is_live:
            self._live_at = self._clock.monotonic()
        self._start()
        try:
            return await entry.result
        except asyncio.CancelledError:
            if entry in self._waiting:
                self._waiting.remove(entry)
            raise

    def pressure(self) -> float:
        """0 idle … 1 full: the share of the workers' time that live calls use, or 1 as soon as finals have to wait."""
        late = sum(1 for entry in self._waiting if entry.plan.job.urgency is Urgency.FINAL)
        return min(1.0, self._load.share() + late / (2 * self._workers.count))

    def queued(self) -> dict[Urgency, int]:
        """Jobs that wait, by urgency."""
        counts = dict.fromkeys(Urgency, 0)
        for entry in self._waiting:
            counts[entry.plan.job.urgency] += 1
        return counts

    def oldest_wait(self) -> float:
        """Seconds by which the latest job is behind its deadline; 0 when none is."""
        now = self._clock.monotonic()
        return max((now - entry.plan.job.deadline for entry in self._waiting), default=0.0)

    async def close(self) -> None:
        """Let what runs finish, shed what waits."""
        self._closing = True
        for entry in self._waiting:
            entry.result.cancel()
        self._waiting.clear()
        if self._alarm is not None:
            self._alarm.cancel()
        if self._running:
            await asyncio.wait(self._running)
        await self._workers.close()

    def _start(self) -> None:
        self._shed_late()
        while len(self._running) < self._workers.count and (batch := self._next_batch()):
            self._optional += batch[0].optional
            task = asyncio.create_task(self._run(batch))
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._start()

    def _shed_late(self) -> None:
        now = self._clock.monotonic()
        late = [
            entry
            for entry in self._waiting
            if entry.plan.job.urgency is Urgency.PARTIAL and now > entry.plan.job.deadline + SHED_PARTIAL_S
        ]
        for entry in late:
            self._waiting.remove(entry)
            self.stats.shed[Urgency.PARTIAL] += 1
            _resolve(entry.result, None)

    def _next_batch(self) -> list[_Waiting[P]]:
        """The most urgent job that need not wait for company, and its like.

        One worker is kept for finals, so that the others' work never makes them wait.
        """
        ready = sorted(self._waiting, key=lambda entry: entry.rank)
        for first in ready:
            alone = not first.is_live and not self._is_live()
            if first.optional and not alone and self._optional and self._optional >= self._workers.count - 1:
                break
            like = self._like(first, ready)
            start_by = self._start_by(like)
            if self._clock.monotonic() >= start_by:
                for entry in like:
                    self._waiting.remove(entry)
                return like
            self._wake_at(start_by)
        return []

    def _is_live(self) -> bool:
        """Whether calls go on beside recordings."""
        return self._clock.monotonic() < self._live_at + QUIET_S

    def _like(self, first: _Waiting[P], ready: Iterable[_Waiting[P]]) -> list[_Waiting[P]]:
        """`first` and those that can be decoded with it. One that has failed before is tried alone."""
        if first.plan.job.careful or first.tries or (not first.is_live and self._is_live()):
            return [first]
        like = [first]
        shortest = longest = first.plan.window_s
        for entry in ready:
            if len(like) == self._max_batch:
                break
            if entry is first or entry.tries or not _can_join(entry, first):
                continue
            window = entry.plan.window_s
            if max(longest, window) - min(shortest, window) <= JOIN_S:
                shortest, longest = min(shortest, window), max(longest, window)
                like.append(entry)
        return like

    def _start_by(self, like: Sequence[_Waiting[P]]) -> float:
        """When these should begin: at once, unless the machine is busy and they can wait."""
        job, share = like[0].plan.job, self._load.share()
        if job.urgency is Urgency.SETTLE:
            return job.deadline if share >= SETTLE_BELOW else -math.inf
        if job.urgency is Urgency.RECORDING:
            look_again = min(job.deadline, self._clock.monotonic() + LOOK_AGAIN_S)
            return look_again if share >= SETTLE_BELOW else -math.inf
        if share < HOLD_FROM or len(like) >= self._max_batch or job.deadline <= like[0].came:
            return -math.inf
        held_until = like[0].came + HOLD_S
        if job.urgency is not Urgency.SPECULATIVE:
            return held_until
        longer = [entry.plan for entry in (*like, like[0])]
        return max(held_until, job.deadline - self._cost.predict(longer) - MARGIN_S)

    def _wake_at(self, when: float) -> None:
        """Look again at `when`, or earlier."""
        if self._alarm is not None and self._alarm_at <= when:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = when
        self._alarm = asyncio.create_task(self._wake(when))

    async def _wake(self, when: float) -> None:
        await self._clock.sleep(max(0.0, when - self._clock.monotonic()))
        self._alarm = None
        self._start()

    async def _run(self, batch: list[_Waiting[P]]) -> None:
        began = self._clock.monotonic()
        if batch[0].is_live:
            self._load.began()
        untold = deque(batch)
        try:
            await self._decode(untold)
        except EngineError as error:
            self._failed(untold, error)
        except Exception as error:  # workers that are gone: callers must hear of it all the same
            log.exception("workers failed")
            self._failed(untold, EngineError(f"the workers failed: {error}"))
        finally:
            self._optional -= batch[0].optional
            if batch[0].is_live:
                self._load.ended()
            self.stats.busy_s += self._clock.monotonic() - began

    async def _decode(self, untold: deque[_Waiting[P]]) -> None:
        """Answer each as soon as it can be; what is left of `untold` when this raises has no answer."""
        began, plans = self._clock.monotonic(), [entry.plan for entry in untold]
        self.stats.batches[len(plans)] = self.stats.batches.get(len(plans), 0) + 1
        for plan in plans:
            self.stats.windows[plan.window_s] = self.stats.windows.get(plan.window_s, 0) + 1
        await self._workers.decode(plans, lambda decoded: self._answer(untold.popleft(), decoded))
        self._cost.learn(plans, self._clock.monotonic() - began)
        if untold:
            raise EngineError(f"{len(untold)} of {len(plans)} jobs came back without an answer")

    def _answer(self, entry: _Waiting[P], decoded: Decoded) -> None:
        self._note(entry, decoded)
        _resolve(entry.result, decoded)

    def _note(self, entry: _Waiting[P], decoded: Decoded) -> None:
        job = entry.plan.job
        self.stats.decoded[job.urgency] += 1
        self.stats.retried += decoded.retried
        if job.urgency in {Urgency.FINAL, Urgency.SPECULATIVE}:
            self.stats.speech_s += len(job.samples) / 16_000

    def _failed(self, untold: Iterable[_Waiting[P]], error: EngineError) -> None:
        """Each job that a failed batch owes is tried once more by itself; then its caller hears of it."""
        for entry in untold:
            if self._closing or entry.tries or entry.plan.job.urgency in {Urgency.PARTIAL, Urgency.SETTLE}:
                self.stats.failed += 1
                _fail(entry.result, error)
            else:
                entry.tries += 1
                self._waiting.append(entry)


def _can_join(entry: _Waiting[P], first: _Waiting[P]) -> bool:
    same_need = entry.rank[0] == first.rank[0] and not entry.plan.job.careful
    return same_need and entry.plan.previous_tokens == first.plan.previous_tokens


class _Load:
    """The share of worker time in use over the last few seconds."""

    def __init__(self, clock: Clock, workers: int) -> None:
        self._clock = clock
        self._workers = workers
        self._busy = 0
        self._share = 0.0
        self._at = clock.monotonic()

    def began(self) -> None:
        self._catch_up()
        self._busy += 1

    def ended(self) -> None:
        self._catch_up()
        self._busy -= 1

    def share(self) -> float:
        self._catch_up()
        return self._share

    def _catch_up(self) -> None:
        now = self._clock.monotonic()
        fade = 0.5 ** ((now - self._at) / LOAD_MEMORY_S)
        self._share = self._share * fade + (self._busy / self._workers) * (1 - fade)
        self._at = now


def _resolve(future: asyncio.Future[Any], value: Decoded | None) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
