"""Many receivers that are away for a day, on a virtual clock: all are told in the end, none twice in one try."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from typing import Any, Self

import pytest
from aiohttp import ClientConnectionError

from bridge.deliver.webhooks import Webhooks
from bridge.model.records import DeliveryFilter, DeliveryStatus, Endpoint
from bridge.ports import Store
from tests.clock import VirtualClock
from tests.story import Story, acmes, ended, started

ENDPOINTS = int(os.environ.get("ENDPOINTS", "24"))
"""A thousand take a minute."""
CALLS = 2
AWAY_S = 24 * 3600.0


class Receivers:
    """Stands in for `GuardedSession`: everybody is away, each in one of the ways in which receivers are, until noon."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.back_at = clock.now() + AWAY_S
        self.tries: Counter[tuple[str, str]] = Counter()
        self.delivered: Counter[tuple[str, str]] = Counter()
        self.at_once: Counter[tuple[str, str]] = Counter()

    async def request(self, method: str, url: str, *, data: bytes, headers: dict[str, str]) -> Any:
        message = (url, headers["webhook-id"])
        self.tries[message] += 1
        self.at_once[message] += 1
        assert self.at_once[message] == 1
        try:
            await asyncio.sleep(0)
            if self.clock.now() >= self.back_at:
                self.delivered[message] += 1
                return Answer(200)
            match int(url.rpartition("/")[2]) % 4:
                case 0:
                    raise ClientConnectionError("refused")
                case 1:
                    await self.clock.sleep(3600)
                    return Answer(200)
                case 2:
                    return Answer(503, {"retry-after": "30"})
                case _:
                    return Answer(500)
        finally:
            self.at_once[message] -= 1


class Answer:
    def __init__(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.status = status
        self.headers = headers or {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


async def quiet(store: Any, clock: VirtualClock) -> None:
    """Time stands still until the store's threads, which run in real time, have nothing more to do."""
    for _ in range(4):
        await asyncio.gather(store.next_due(), store._db.write(lambda _connection: None))  # behind whatever is in line
        await clock.settle()


async def all_statuses(store: Store) -> Counter[DeliveryStatus]:
    found: Counter[DeliveryStatus] = Counter()
    for endpoint in await store.endpoints("acme"):
        found.update(
            delivery.status
            for delivery in (await store.deliveries("acme", endpoint.id, DeliveryFilter(), limit=100)).deliveries
        )
    return found


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_day_away(sqlite_store: Store, clock: VirtualClock, workers: int) -> None:
    """Every delivery made on the first day succeeds on the second, in no more than its eight tries."""
    for number in range(ENDPOINTS):
        await sqlite_store.create_endpoint(
            Endpoint(
                id=f"we_{number:03}", tenant="acme", url=f"https://r.example.org/{number}", events=("call.completed",),
                secrets=("secret",), enabled=True, created_at=clock.now(),
            )
        )  # fmt: skip
    receivers = Receivers(clock)
    working = [Webhooks(sqlite_store, receivers, clock) for _ in range(workers)]  # type: ignore[arg-type]
    for webhooks in working:
        webhooks.start()
    for number in range(CALLS):
        await sqlite_store.append(Story(f"c{number}", at=clock.now()).tell(started(), ended()))
        await sqlite_store.settle(acmes(f"c{number}"), clock.now())
    end = clock.now() + 2 * AWAY_S
    while (due := await sqlite_store.next_due()) is not None:
        assert clock.now() < end
        await clock.advance(max(due - clock.now(), 0) + 20)
        await quiet(sqlite_store, clock)
    for webhooks in working:
        await webhooks.close()
    assert await all_statuses(sqlite_store) == {DeliveryStatus.DELIVERED: CALLS * ENDPOINTS}
    assert set(receivers.delivered.values()) == {1}
    assert len(receivers.delivered) == CALLS * ENDPOINTS
    assert max(receivers.tries.values()) <= 8
