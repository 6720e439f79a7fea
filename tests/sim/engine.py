"""Decoding threads that raise, hang, or are slow."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING

from bridge.errors import EngineError
from bridge.ports import DecodeJob
from bridge.recognise.workers import Encoded, Joining, Tell
from tests.engines import ScriptedPlan, read

if TYPE_CHECKING:
    from tests.sim.world import World


class Decoders:
    """Fills `Workers`."""

    count = 2
    apart = 1
    joins = True

    def __init__(self, world: World, rng: Random) -> None:
        self._world = world
        self._rng = rng

    def plan(self, job: DecodeJob) -> ScriptedPlan:
        return ScriptedPlan(
            job=job, window_s=max(4, -(-len(job.samples) // 16_000)), previous_tokens=len(job.previous_text.split())
        )

    async def encode(self, plan: ScriptedPlan, *, apart: bool = False) -> Encoded[ScriptedPlan]:
        await self._step()
        return Encoded(plan, None)

    async def decode(
        self,
        batch: Sequence[Encoded[ScriptedPlan]],
        tell: Tell,
        joining: Joining[ScriptedPlan],
        *,
        apart: bool = False,
    ) -> None:
        places, coming = itertools.count(), batch
        while coming:
            await self._step()
            for encoded in coming:
                tell(next(places), read(encoded.plan.job))
            coming = joining.taken(is_last=True)

    async def _step(self) -> None:
        story, rng = self._world.plan, self._rng
        await asyncio.sleep(rng.uniform(0.02, 0.3))
        if not self._world.calm:
            if rng.random() < story.decode_hangs:
                await asyncio.sleep(1e9)
            if rng.random() < story.decode_slow:
                await asyncio.sleep(rng.uniform(0.5, 4.0))
            if rng.random() < story.decode_raises:
                raise rng.choice([EngineError("scripted"), RuntimeError("scripted")])

    async def close(self) -> None: ...
