"""Steps that never come back: noticed, given up, and their worker replaced by whoever runs it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, Generic, TypeVar

import structlog

from bridge.errors import EngineError
from bridge.ports import Clock, DecodeJob
from bridge.recognise.cost import Cost, decoding, encoding
from bridge.recognise.workers import Encoded, Joining, P, Tell, Workers

log = structlog.get_logger()

T = TypeVar("T")

PATIENCE_S: Final = 10.0
"""What any step may take, on a machine that also does something else."""

KEPT_FOR_S: Final = 1.0
"""How long a reading of the time kept waiting serves the steps that begin: it costs the loop 0.2 ms."""

TIMES_AS_LONG: Final = 10.0
"""And beside that so many times what its like has taken."""


class Watched(Generic[P]):
    """Fills `Workers` over other workers. A step that takes far too long ends as an EngineError, like one that fails:
    the scheduler then tries its jobs once more, elsewhere.
    """

    def __init__(self, workers: Workers[P], clock: Clock, *, kept_waiting_s: Callable[[], float] = lambda: 0.0) -> None:
        """`kept_waiting_s` is how long steps have been kept from the processor until now: nothing hangs for that."""
        self._workers = workers
        self._clock = clock
        self._kept_waiting_s = kept_waiting_s
        self._kept_s = 0.0
        self._read_at = -math.inf
        self._encoding = Cost(encoding)
        self._decoding = Cost(decoding)

    @property
    def count(self) -> int:
        return self._workers.count

    @property
    def apart(self) -> int:
        return self._workers.apart

    @property
    def joins(self) -> bool:
        return self._workers.joins

    def plan(self, job: DecodeJob) -> P:
        return self._workers.plan(job)

    async def encode(self, plan: P, *, apart: bool = False) -> Encoded[P]:
        return await self._in_time(self._workers.encode(plan, apart=apart), self._encoding, [plan])

    async def decode(
        self, batch: Sequence[Encoded[P]], tell: Tell, joining: Joining[P], *, apart: bool = False
    ) -> None:
        plans = [encoded.plan for encoded in batch]
        await self._in_time(self._workers.decode(batch, tell, joining, apart=apart), self._decoding, plans)

    async def _in_time(self, step: Coroutine[Any, Any, T], cost: Cost, plans: Sequence[P]) -> T:
        limit_s = PATIENCE_S + TIMES_AS_LONG * cost.predict(plans)
        began, kept_s = self._clock.monotonic(), self._kept_before_s()
        doing = asyncio.create_task(step)
        try:
            give_up_at = began + limit_s
            while not doing.done() and (left_s := give_up_at - self._clock.monotonic()) > 0:
                await self._until_done(doing, left_s)
                give_up_at = began + limit_s + self._kept_waiting_s() - kept_s
        finally:
            hangs = doing.cancel()
        if hangs:
            await asyncio.wait({doing})  # until it has been replaced
            log.error("a decode does not come back and is given up", seconds=round(limit_s, 1), jobs=len(plans))
            raise EngineError(f"no answer within {limit_s:.0f} s")
        result = doing.result()
        cost.learn(plans, self._clock.monotonic() - began)
        return result

    def _kept_before_s(self) -> float:
        now = self._clock.monotonic()
        if now >= self._read_at + KEPT_FOR_S:
            self._kept_s, self._read_at = self._kept_waiting_s(), now
        return self._kept_s

    async def _until_done(self, doing: asyncio.Task[T], at_most_s: float) -> None:
        alarm = asyncio.create_task(self._clock.sleep(at_most_s))
        try:
            await asyncio.wait({doing, alarm}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            alarm.cancel()

    async def close(self) -> None:
        await self._workers.close()
