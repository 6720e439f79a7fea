"""Small real doubles: a store in memory that can be away, and a board that remembers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from bridge.errors import ConflictError, NotFoundError, StoreError
from bridge.model.call_key import CallKey
from bridge.model.events import CallEnded, CallStarted, Event
from bridge.model.records import CallRecord, CallStatus
from tests.clock import VirtualClock


@dataclass
class MemoryCalls:
    """As much of `CallStore` as journal and hub use. `fail` is asked before and after each write what to raise."""

    kept: dict[str, list[Event]] = field(default_factory=dict)
    tenants: dict[str, str] = field(default_factory=dict)
    settled: set[str] = field(default_factory=set)
    batches: list[list[Event]] = field(default_factory=list)
    away: bool = False
    deaf: int = 0
    """So many writes are kept and still reported as failed: the answer was lost."""
    gate: asyncio.Event | None = None
    """While there is one that is not set, writes do not end."""
    reads: int = 0

    async def append(self, events: Sequence[Event]) -> None:
        await self._pass()
        fresh = [event for event in events if event not in self.kept.get(event.call_id, [])]
        draft = {call_id: list(kept) for call_id, kept in self.kept.items()}
        for event in fresh:
            if isinstance(event.body, CallStarted):
                if event.call_id in draft:
                    raise ConflictError(f"call {event.call_id} exists already")
                draft[event.call_id] = []
                self.tenants[event.call_id] = event.tenant
            kept = draft.get(event.call_id)
            if kept is None:
                raise NotFoundError(f"no call {event.call_id}")
            if event.seq != len(kept) + 1:
                raise ConflictError(f"{event.seq} cannot follow {len(kept)}")
            if "poison" in str(event.body):
                raise ValueError("poison")
            kept.append(event)
        self.kept = draft
        self.batches.append(list(events))
        if self.deaf:
            self.deaf -= 1
            raise StoreError("the answer was lost")

    async def settle(self, key: CallKey, now: float) -> None:
        await self._pass()
        self.settled.add(key.call_id)

    async def _pass(self) -> None:
        await asyncio.sleep(0)
        if self.gate is not None:
            await self.gate.wait()
        if self.away:
            raise StoreError("away")

    async def call(self, tenant: str, call_id: str) -> CallRecord:
        await asyncio.sleep(0)
        if call_id not in self.kept or self.tenants[call_id] != tenant:
            raise NotFoundError(f"no call {call_id}")
        events = self.kept[call_id]
        started = events[0].body
        assert isinstance(started, CallStarted)
        over = any(isinstance(event.body, CallEnded) for event in events)
        return CallRecord(
            call_id=call_id,
            tenant=tenant,
            carrier=started.carrier,
            carrier_call_id=started.carrier_call_id,
            legs=started.legs,
            codec=started.codec,
            sample_rate=started.sample_rate,
            metadata=started.metadata,
            status=CallStatus.COMPLETED if over else CallStatus.IN_PROGRESS,
            started_at=events[0].time,
            settled=call_id in self.settled,
            last_seq=len(events),
        )

    async def knows(self, key: CallKey) -> bool:
        await asyncio.sleep(0)
        return self.tenants.get(key.call_id) == key.tenant

    async def events(self, tenant: str, call_id: str, *, after: int, limit: int) -> Sequence[Event]:
        await self.call(tenant, call_id)
        self.reads += 1
        return self.kept[call_id][after : after + limit]

    def types(self, call_id: str) -> list[str]:
        return [event.type for event in self.kept.get(call_id, [])]

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"journal and hub have no business with {name}")


@dataclass
class Board:
    """An `EventBoard` that remembers what it was shown, and checks that it was kept before."""

    calls: MemoryCalls
    shown: list[Event] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)

    async def show(self, events: Sequence[Event]) -> None:
        for event in events:
            assert event in self.calls.kept[event.call_id]
        self.shown += events

    async def finish(self, key: CallKey) -> None:
        assert key.call_id in self.calls.settled
        self.finished.append(key.call_id)


@pytest.fixture
def calls() -> MemoryCalls:
    return MemoryCalls()


@pytest.fixture
def board(calls: MemoryCalls) -> Board:
    return Board(calls)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()
