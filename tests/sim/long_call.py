"""`python -m tests.sim.long_call MINUTES`: one lively call of two legs through the whole product, its memory measured."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator

import numpy as np
import structlog

from bridge.model.stream import Encoding, Leg, MediaChunk, MediaFormat, StreamItem, StreamStarted, StreamStopped
from tests.engines import spoken
from tests.sim import world as world_module
from tests.sim.plan import Plan
from tests.sim.stage import prepare, simulated
from tests.sim.world import World

CHUNK = 3200
LOOK_EVERY = 100
"""Chunks, twenty seconds."""
MAY_VARY = 256 * 1024
"""Bytes: what is said differs, and with it what waits to be settled."""
LEGS = (Leg.CALLER, Leg.AGENT)


class Talk(World):
    """Nothing goes wrong; one call goes on and on."""

    def __init__(self, minutes: float) -> None:
        super().__init__(0)
        self.plan = Plan(seed=0, calls=[], ends=[], receivers=[{}], events=[("call.completed",)])
        self.carriers, self.readers = [], []
        self.chunks_to_come = round(minutes * 300)
        self.memory: list[int] = []
        self.begun = False

    async def _around(self) -> None:
        assert self.context is not None
        self.begun = True
        started = StreamStarted(
            carrier="sim",
            carrier_call_id="CA",
            stream_id="MZ",
            legs=LEGS,
            media_format=MediaFormat(encoding=Encoding.L16_LE, sample_rate=16_000),
            parameters={"call_id": "long"},
        )
        await self.context.calls.take(started, self._talk(), tenant="acme")

    async def _talk(self) -> AsyncIterator[StreamItem]:
        said = np.concatenate([spoken(11, 22, 33, 44, 55), np.zeros(32_000, np.float32)])
        for number in range(self.chunks_to_come):
            at = np.arange(number * CHUNK, (number + 1) * CHUNK)
            for leg, shift in zip(LEGS, (0, 20_000), strict=True):
                samples = said[(at + shift) % len(said)]
                payload = np.round(samples * 32767).astype("<i2").tobytes()
                yield MediaChunk(leg=leg, payload=payload, sequence=number, timestamp_ms=number * 200.0)
            if number % LOOK_EVERY == 0:
                gc.collect()
                self.memory.append(tracemalloc.get_traced_memory()[0])
            await asyncio.sleep(0.2)
        yield StreamStopped()


def main(minutes: float) -> int:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    world_module.REST_WITHIN_S = minutes * 60 + 600
    began = time.monotonic()
    world = Talk(minutes)
    with simulated(world):
        prepare(world)
        tracemalloc.start()
        world.run()
        tracemalloc.stop()
        finals = len([1 for _, body in world.events("long") if body.type == "transcript.final"])
    third = len(world.memory) // 3
    second, last = max(world.memory[third : 2 * third]), max(world.memory[2 * third :])
    kib = [figure // 1024 for figure in (second, last)]
    print(f"{minutes:g} minutes, {finals} finals: {kib[0]} KiB at most in the second third, {kib[1]} in the last")
    print(f"{time.monotonic() - began:.1f} s")
    return 0 if finals > minutes * 10 and last < second + MAY_VARY else 1


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
