"""Live readers: one of each call, sometimes slow, sometimes gone and back."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from random import Random
from typing import TYPE_CHECKING

from bridge.errors import NotFoundError, StoreError

if TYPE_CHECKING:
    from tests.sim.world import World


class Reader:
    """Belongs to the world; resumes behind the last event that it has."""

    def __init__(self, call_id: str, world: World, rng: Random) -> None:
        self.call_id = call_id
        self.seqs: list[int] = []
        self.done = False
        self._world = world
        self._rng = rng

    async def read(self) -> None:
        """In one process, for as long as that lives."""
        while not self.done:
            context = self._world.context
            if context is None:
                return
            try:
                feed = context.feed.call("acme", self.call_id, after=self.seqs[-1] if self.seqs else 0)
                async with aclosing(feed) as events:  # type: ignore[type-var]
                    gone = False
                    async for event in events:
                        self.seqs.append(event.seq)
                        if self._rng.random() < self._world.plan.slow_readers:
                            await asyncio.sleep(self._rng.uniform(0, 3))
                        if self._rng.random() < 0.05:
                            gone = True
                            break
                    self.done = not gone
            except (NotFoundError, StoreError):
                pass
            if not self.done:
                await asyncio.sleep(self._rng.uniform(0.1, 3))
                if self._world.at_rest:
                    return
