"""Decodes that never come back: noticed, given up, and their worker replaced by whoever runs it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Generic

import structlog

from bridge.errors import EngineError
from bridge.ports import Clock, DecodeJob
from bridge.recognise.cost import Cost, P
from bridge.recognise.scheduler import Tell, Workers

log = structlog.get_logger()

PATIENCE_S: Final = 10.0
"""What any decode may take, on a machine that also does something else."""

TIMES_AS_LONG: Final = 10.0
"""And beside that so many times what its like has taken."""


class Watched(Generic[P]):
    """Fills `scheduler.Workers` over other workers. A decode that takes far too long ends as an EngineError, like one
    that fails: the scheduler then tries its jobs once more, elsewhere.
    """

    def __init__(self, workers: Workers[P], clock: Clock, *, kept_waiting_s: Callable[[], float] = lambda: 0.0) -> None:
        """`kept_waiting_s` is how long decodes have been kept from the processor until now: nothing hangs for that."""
        self._workers = workers
        self._clock = clock
        self._kept_waiting_s = kept_waiting_s
        self._cost = Cost()

    @property
    def count(self) -> int:
        return self._workers.count

    def plan(self, job: DecodeJob) -> P:
        return self._workers.plan(job)

    def limit_s(self, plans: Sequence[P]) -> float:
        """After this many seconds the batch is given up."""
        return PATIENCE_S + TIMES_AS_LONG * self._cost.predict(plans)

    async def decode(self, plans: Sequence[P], tell: Tell) -> None:
        began, limit_s, kept_s = self._clock.monotonic(), self.limit_s(plans), self._kept_waiting_s()
        decoding = asyncio.create_task(self._workers.decode(plans, tell))
        try:
            give_up_at = began + limit_s
            while not decoding.done() and (left_s := give_up_at - self._clock.monotonic()) > 0:
                await self._until_done(decoding, left_s)
                give_up_at = began + limit_s + self._kept_waiting_s() - kept_s
        finally:
            hangs = decoding.cancel()
        if hangs:
            await asyncio.wait({decoding})  # until it has been replaced
            log.error("a decode does not come back and is given up", seconds=round(limit_s, 1), jobs=len(plans))
            raise EngineError(f"no answer within {limit_s:.0f} s")
        decoding.result()
        self._cost.learn(plans, self._clock.monotonic() - began)

    async def _until_done(self, decoding: asyncio.Task[None], at_most_s: float) -> None:
        alarm = asyncio.create_task(self._clock.sleep(at_most_s))
        try:
            await asyncio.wait({decoding, alarm}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            alarm.cancel()

    async def close(self) -> None:
        await self._workers.close()
