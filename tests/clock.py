"""Time that stands still until a test moves it."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Coroutine
from itertools import count
from typing import Any

SPINS = 25
"""Turns of the event loop that whoever was woken gets before time goes on. Real sockets need more: wait for what
they bring, not for time."""


class VirtualClock:
    """The `Clock` port. `advance` wakes sleepers one by one, in order, each at its own moment."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._start = start
        self._elapsed = 0.0
        self._order = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._start + self._elapsed

    def monotonic(self) -> float:
        return self._elapsed

    def sleep(self, seconds: float) -> Coroutine[Any, Any, None]:
        """Counts from this call, not from when the coroutine first runs: a task that begins a turn later, while time
        is moved, would sleep beyond the moment that its caller worked out.
        """
        return self._until(self._elapsed + seconds)

    async def _until(self, moment: float) -> None:
        if moment <= self._elapsed:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (moment, next(self._order), woken))
        await woken

    @property
    def sleeping(self) -> int:
        """How many sleep now."""
        return sum(not woken.done() for _, _, woken in self._sleepers)

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        end = self._elapsed + seconds
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            at, _, woken = heapq.heappop(self._sleepers)
            if woken.done():  # cancelled
                continue
            self._elapsed = max(self._elapsed, at)
            woken.set_result(None)
            await self.settle()
        self._elapsed = end
        await self.settle()

    def set_by(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self._start += seconds

    async def settle(self) -> None:
        """Let everybody who can go on do so, while no time passes."""
        for _ in range(SPINS):
            await asyncio.sleep(0)


class LeapingClock(VirtualClock):
    """Time for one task alone: it stands still while that works, and leaps over each of its sleeps."""

    async def _until(self, moment: float) -> None:
        self._elapsed = max(self._elapsed, moment)
        await asyncio.sleep(0)
