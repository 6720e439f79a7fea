"""Carriers: what they send, over a network that drops, delays, doubles and reorders, on sockets that break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from bridge.errors import BridgeError
from bridge.model.stream import (
    Encoding,
    Leg,
    MediaChunk,
    MediaFormat,
    StreamItem,
    StreamStarted,
    StreamStopped,
)
from tests.sim.plan import CallPlan

if TYPE_CHECKING:
    from tests.sim.world import World


@dataclass(eq=False)
class Sent:
    """One chunk, and what became of it."""

    leg: Leg
    start: int
    """In its call's audio, samples."""
    end: int
    stream: int
    on_time: bool
    chunk: MediaChunk
    accepted_at: float | None = None
    """When the process took it."""
    life: int = -1
    written: bool = False
    synced: bool = False
    kept: bool = True
    """Whether what took it lived on, or had it on its disk when it did not."""


@dataclass
class Carrier:
    """One call from its carrier's side. Belongs to the world: no crash of the process touches it."""

    plan: CallPlan
    world: World
    rng: Random
    sent: list[Sent] = field(default_factory=list)
    streams: list[int] = field(default_factory=list)
    """Where each stream that was taken begins, in the call's audio, samples."""
    taken: bool = False
    refused: list[str] = field(default_factory=list)
    over: bool = False

    async def call(self) -> None:
        """Place it now, in a process that lives."""
        begins_at = self.world.now()
        cuts = [*self.plan.cuts_s, None]
        offset_s = 0.0
        sockets: list[asyncio.Task[bool]] = []
        for number, cut_s in enumerate(cuts):
            until_s = self.plan.duration_ms / 1000 if cut_s is None else max(cut_s, offset_s)
            ended = asyncio.Event()
            socket = asyncio.create_task(self._connect(number, offset_s, until_s, ended, broken=cut_s is not None))
            sockets.append(socket)
            ending = asyncio.create_task(ended.wait())
            try:
                await asyncio.wait({socket, ending}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                ending.cancel()
            if cut_s is None or (socket.done() and not socket.result()):
                break
            await asyncio.sleep(self.plan.away_s[number])
            offset_s = self.world.now() - begins_at
            if offset_s * 1000 >= self.plan.duration_ms:
                break
        await asyncio.gather(*sockets)
        self.over = True

    async def _connect(self, number: int, from_s: float, until_s: float, ended: asyncio.Event, *, broken: bool) -> bool:
        """One socket. False when the call is not taken. Returns with the call that it is part of."""
        context = self.world.context
        if context is None or context.leaving.is_set():
            self.refused.append("not there")
            return False
        plan = self.plan
        first = round(from_s * 1000 / plan.chunk_ms) * plan.chunk
        last = min(round(until_s * 1000 / plan.chunk_ms) * plan.chunk, len(next(iter(plan.audio.values()))))
        started = StreamStarted(
            carrier="sim",
            carrier_call_id=f"CA-{plan.call_id}",
            stream_id=f"MZ-{number}",
            legs=plan.legs,
            media_format=MediaFormat(encoding=Encoding.L16_LE, sample_rate=16_000),
            parameters={"call_id": plan.call_id, "metadata.order": "447"},
        )
        try:
            await context.calls.take(started, self._items(number, first, last, ended, broken=broken), tenant="acme")
        except BridgeError as error:
            self.refused.append(f"{error.code}: {error.message}")
            return False
        return True

    async def _items(
        self, number: int, first: int, last: int, ended: asyncio.Event, *, broken: bool
    ) -> AsyncIterator[StreamItem]:
        self.taken = True
        self.streams.append(first)
        life = self.world.life
        begins_at = self.world.now()
        for due_s, sent in self._through_the_network(number, first, last):
            if await self._sleep_until(begins_at + due_s):
                yield StreamStopped(reason="drained")
                return
            sent.accepted_at, sent.life = self.world.now(), life
            if sent not in self.sent:
                self.sent.append(sent)
                self.world.chunks[id(sent.chunk)] = sent
            yield sent.chunk
        ended.set()
        if broken:
            yield StreamStopped(reason="closed", broken=True)
        elif self.plan.hangs_up:
            yield StreamStopped(reason="hangup")
        else:
            yield StreamStopped(reason="closed")

    async def _sleep_until(self, moment: float) -> bool:
        """Whether the server has said good-bye meanwhile."""
        wait_s = moment - self.world.now()
        if wait_s > 0 and not self.world.farewell:
            await asyncio.sleep(wait_s)
        return self.world.farewell

    def _through_the_network(self, number: int, first: int, last: int) -> list[tuple[float, Sent]]:
        plan, rng = self.plan, self.rng
        arriving: list[tuple[float, int, Sent]] = []
        for index, start in enumerate(range(first, last, plan.chunk)):
            due_s = (index + 1) * plan.chunk_ms / 1000
            for leg in plan.legs:
                if rng.random() < plan.drops:
                    continue
                late = plan.numbered and rng.random() < plan.delays
                payload = np.round(plan.audio[leg][start : start + plan.chunk] * 32767).astype("<i2").tobytes()
                chunk = MediaChunk(
                    leg=leg,
                    payload=payload,
                    sequence=index if plan.numbered else None,
                    timestamp_ms=float(index * plan.chunk_ms),
                )
                sent = Sent(leg=leg, start=start, end=start + plan.chunk, stream=number, on_time=not late, chunk=chunk)
                delay_s = rng.choice([0.03, 0.1, 0.3, 0.7]) if late else 0.0
                arriving.append((due_s + delay_s, len(arriving), sent))
                if rng.random() < plan.doubles:
                    arriving.append((due_s + delay_s + rng.choice([0.0, 0.03, 0.4]), len(arriving), sent))
        arriving.sort(key=lambda found: found[:2])
        ends_s = (last - first) / 16_000
        return [(due_s, sent) for due_s, _, sent in arriving if due_s <= ends_s + 0.2]
