"""Who is decoded next: one queue for every call of the process, earliest need first, like windows together.

Each job takes two steps, encoding and decoding, and after each step a worker takes whatever is most urgent then: nobody
waits for more than one window or one batch. What is encoded while no worker is free goes along with a decode that runs,
where the decoder can do that. Finals and what may become one go first, then partials, then settling. Finals are never
shed. Everything here runs on the event loop; the steps themselves are the workers' affair.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic

import structlog

from bridge.errors import EngineError
from bridge.ports import Clock, Decoded, DecodeJob, Urgency
from bridge.recognise.cost import Cost, decoding
from bridge.recognise.load import Load
from bridge.recognise.workers import Encoded, Joining, P, Workers

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

MARGIN_S: Final = 0.05
"""An encoded window waits for others to be encoded if it will be decoded so long before it is needed all the same."""

BACKLOG: Final = 2
"""So many jobs of one urgency a worker, and company goes before punctuality: it is what makes a queue shorter."""

MOST_JOINING: Final = 8
"""So many join one decode: it comes to an end."""

SETTLE_BELOW: Final = 0.5
"""The load under which settling starts before its deadline."""

QUIET_S: Final = 10.0
"""So long after the last job of a live call, recordings may have all workers, and batches."""

LOOK_AGAIN_S: Final = 1.0
"""While what can wait waits for the load to fall."""


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
    encoded: Encoded[P] | None = None
    tries: int = 0

    @property
    def rank(self) -> tuple[int, float, int]:
        return RANK[self.plan.job.urgency], self.plan.job.deadline, self.order

    @property
    def is_long(self) -> bool:
        """Whether its steps are those of a full window, too long for a final to wait for."""
        return self.plan.job.urgency in {Urgency.SETTLE, Urgency.RECORDING}

    @property
    def is_live(self) -> bool:
        return self.plan.job.urgency is not Urgency.RECORDING


@dataclass(slots=True, eq=False)
class _Step(Generic[P]):
    """What a worker does."""

    untold: dict[int, _Waiting[P]]
    """Jobs without an answer, by their place."""
    joining: Joining[P]
    count: int
    """Jobs there were in all."""
    apart: bool
    """With what others leave of the processor."""

    def join(self, entry: _Waiting[P], encoded: Encoded[P]) -> bool:
        """Whether a job is decoded along."""
        if joins := self.joining.add(encoded):
            self.untold[self.count] = entry
            self.count += 1
        return joins


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
        self._decoding: list[_Step[P]] = []
        """What jobs may join."""
        self._long = 0
        """Workers busy with long steps."""
        self._apart = 0
        """Long steps that run apart from those."""
        self._order = itertools.count()
        self._load = Load(clock, workers.count)
        """Of live calls: recordings take what is left."""
        self._live_at = -math.inf
        """When the last job of a live call came."""
        self._cost = Cost(decoding)
        self._alarm: asyncio.Task[None] | None = None
        self._alarm_at = math.inf
        self._closing = False
        self.stats = SchedulerStats()

    async def decode(self, job: DecodeJob) -> Decoded | None:
        """See `bridge.ports.Engine.decode`."""
        entry = _Waiting(self._workers.plan(job), asyncio.get_running_loop().create_future(), next(self._order))
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
        while batch := self._next_batch():
            for entry in batch:
                self._waiting.remove(entry)
            apart = self._goes_apart(batch[0])
            self._apart += apart
            self._long += batch[0].is_long and not apart
            task = asyncio.create_task(self._run(batch, apart=apart))
            self._running.add(task)
            task.add_done_callback(self._ended)
        self._join()

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

    def _join(self) -> None:
        """What is encoded and has no worker goes along with a decode that runs, whose tokens then cost little more."""
        if not self._workers.joins:
            return
        for entry in sorted(self._waiting, key=lambda entry: entry.rank):
            if entry.encoded is None or entry.is_long:
                continue
            step = next((step for step in self._decoding if self._can_go_along(entry, step)), None)
            if step is not None and step.join(entry, entry.encoded):
                self._waiting.remove(entry)

    def _can_go_along(self, entry: _Waiting[P], step: _Step[P]) -> bool:
        riding = [*step.untold.values()]
        together = [*riding, entry]
        return (
            not step.apart
            and 0 < len(riding) < self._max_batch
            and (any(one.is_long for one in riding) or _apart_s(together) <= JOIN_S)
            and not any(one.plan.job.careful or one.tries for one in together)
        )

    def _next_batch(self) -> list[_Waiting[P]]:
        """The most urgent job that may begin, to be encoded, or to be decoded with its like."""
        ready = sorted(self._waiting, key=lambda entry: entry.rank)
        for first in ready:
            if not self._has_worker(first):
                continue
            if first.encoded is None:
                start_by = self._start_by(first)
                if self._clock.monotonic() >= start_by:
                    return [first]
                self._wake_at(start_by)
            else:
                like = self._like(first, ready)
                company = None if self._workers.joins else self._company(like, ready)
                return like if company is None else [company]
        return []

    def _has_worker(self, entry: _Waiting[P]) -> bool:
        """Whether one is free for its next step. Those for long steps are some apart, or else all but one, so that long
        steps never make finals wait; recordings without calls beside them have every worker.
        """
        if self._goes_apart(entry):
            return self._apart < self._workers.apart
        most_long = math.inf if self._is_alone(entry) else max(1, self._workers.count - 1)
        free = len(self._running) - self._apart < self._workers.count
        return free and not (entry.is_long and self._long >= most_long)

    def _goes_apart(self, entry: _Waiting[P]) -> bool:
        return bool(self._workers.apart) and entry.is_long and not self._is_alone(entry)

    def _is_alone(self, entry: _Waiting[P]) -> bool:
        return not entry.is_live and not self._is_live()

    def _is_live(self) -> bool:
        """Whether calls go on beside recordings."""
        return self._clock.monotonic() < self._live_at + QUIET_S

    def _like(self, first: _Waiting[P], ready: Iterable[_Waiting[P]]) -> list[_Waiting[P]]:
        """`first` and those encoded that can be decoded with it."""
        like = [first]
        for entry in ready:
            if entry is not first and entry.encoded is not None and self._can_join(entry, like):
                like.append(entry)
        return like

    def _company(self, like: Sequence[_Waiting[P]], ready: Sequence[_Waiting[P]]) -> _Waiting[P] | None:
        """Whom to encode before `like` are decoded, to be decoded with them: somebody if there is time, or if so many
        wait that company is what helps. Settling goes without: its steps are long enough.
        """
        first = like[0]
        coming = next((entry for entry in ready if entry.encoded is None and self._can_join(entry, like)), None)
        if coming is None or first.plan.job.urgency is Urgency.SETTLE:
            return None
        in_time = first.plan.job.deadline - MARGIN_S - self._cost.predict([entry.plan for entry in (*like, coming)])
        of_its_rank = sum(entry.rank[0] == first.rank[0] for entry in ready)
        crowded = of_its_rank >= BACKLOG * self._workers.count
        return coming if crowded or not first.is_live or self._clock.monotonic() < in_time else None

    def _can_join(self, entry: _Waiting[P], like: Sequence[_Waiting[P]]) -> bool:
        """What needs care is decoded alone, and so is what has failed before, and a recording beside calls."""
        first = like[0]
        return (
            len(like) < self._max_batch
            and entry.rank[0] == first.rank[0]
            and entry.plan.previous_tokens == first.plan.previous_tokens
            and _apart_s([*like, entry]) <= JOIN_S
            and not any(one.plan.job.careful or one.tries for one in (first, entry))
            and (first.is_live or not self._is_live())
        )

    def _start_by(self, entry: _Waiting[P]) -> float:
        """When it should begin: at once, unless the machine is busy, it can wait, and would be in the way."""
        job = entry.plan.job
        if not entry.is_long or self._goes_apart(entry) or self._load.share() < SETTLE_BELOW:
            return -math.inf
        if job.urgency is Urgency.SETTLE:
            return job.deadline
        return min(job.deadline, self._clock.monotonic() + LOOK_AGAIN_S)

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

    async def _run(self, batch: list[_Waiting[P]], *, apart: bool) -> None:
        began = self._clock.monotonic()
        counts = batch[0].is_live and not apart
        if counts:
            self._load.began()
        step = _Step(dict(enumerate(batch)), Joining(MOST_JOINING), len(batch), apart)
        try:
            await self._do(step)
        except EngineError as error:
            self._failed(step.untold.values(), error)
        except Exception as error:  # workers that are gone: callers must hear of it all the same
            log.exception("workers failed")
            self._failed(step.untold.values(), EngineError(f"the workers failed: {error}"))
        finally:
            self._apart -= apart
            self._long -= batch[0].is_long and not apart
            if counts:
                self._load.ended()
            self.stats.busy_s += self._clock.monotonic() - began

    def _do(self, step: _Step[P]) -> Coroutine[Any, Any, None]:
        """What is left of `untold` when this raises has no answer."""
        encoded = [entry.encoded for entry in step.untold.values() if entry.encoded is not None]
        return self._decode(step, encoded) if encoded else self._encode(step)

    async def _encode(self, step: _Step[P]) -> None:
        plan = step.untold[0].plan
        self.stats.windows[plan.window_s] = self.stats.windows.get(plan.window_s, 0) + 1
        encoded = await self._workers.encode(plan, apart=step.apart)
        entry = step.untold.pop(0)
        entry.encoded = encoded
        self._wait_on(entry)

    async def _decode(self, step: _Step[P], encoded: Sequence[Encoded[P]]) -> None:
        """Answer each as soon as it can be."""
        began, plans = self._clock.monotonic(), [one.plan for one in encoded]

        def answer(place: int, decoded: Decoded) -> None:
            self._answer(step.untold.pop(place), decoded)

        self._decoding.append(step)
        try:
            await self._workers.decode(encoded, answer, step.joining, apart=step.apart)
        finally:
            self._decoding.remove(step)
            self.stats.batches[step.count] = self.stats.batches.get(step.count, 0) + 1
        if step.count == len(plans) and not step.apart:
            self._cost.learn(plans, self._clock.monotonic() - began)
        if step.untold:
            raise EngineError(f"{len(step.untold)} of {step.count} jobs came back without an answer")

    def _wait_on(self, entry: _Waiting[P]) -> None:
        """Between two steps, unless it has been taken back, or nothing begins any more."""
        if self._closing:
            entry.result.cancel()
        elif not entry.result.done():
            self._waiting.append(entry)

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
                entry.encoded = None
                self._wait_on(entry)


def _apart_s(entries: Sequence[_Waiting[P]]) -> int:
    """By how much their windows differ, in seconds."""
    windows = [entry.plan.window_s for entry in entries]
    return max(windows) - min(windows)


def _resolve(future: asyncio.Future[Any], value: Decoded | None) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
