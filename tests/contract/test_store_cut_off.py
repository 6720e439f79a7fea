"""Callers that go away in the middle, and connections that do: the store stays whole and usable."""

from __future__ import annotations

import asyncio
import contextlib

import asyncpg
import pytest

from bridge.errors import StoreError
from bridge.model.records import CallFilter, DeliveryFilter
from bridge.ports import Store
from tests.contract.builders import an_endpoint, claimed
from tests.story import START, Story, ended, final, started


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_readers_that_are_cancelled(store: Store) -> None:
    """Dropped sockets cancel reads at any moment; the next reader finds everything in order."""
    await store.append(Story().tell(started(), *(final(number, "word") for number in range(50))))
    for count in range(60):
        reading = asyncio.create_task(store.events("acme", "call-1", after=0, limit=100))
        await turns(count)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    async with asyncio.timeout(30):
        many = [store.events("acme", "call-1", after=0, limit=100) for _ in range(20)]
        assert all(len(events) == 51 for events in await asyncio.gather(*many))


async def test_writers_that_are_cancelled(store: Store) -> None:
    """A write that is cut off is kept whole or not at all, holds no lock, and may be repeated."""
    await store.create_endpoint(an_endpoint(events=("*",)))
    for count in range(0, 120, 2):
        happened = Story(f"c{count}", at=START + count).tell(started(), final(1, "hello"), ended())
        writing = asyncio.create_task(store.append(happened))
        await turns(count)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(StoreError):  # the first one may be at it still
                    await store.append(happened)
                    break
            assert await store.events("acme", f"c{count}", after=0, limit=9) == happened
    assert len((await store.deliveries("acme", "we_1", DeliveryFilter(), limit=1000)).deliveries) == 4 * 60


async def test_claims_that_are_cancelled(store: Store) -> None:
    """What a worker claimed and never heard of is free again when its lease ends."""
    await store.create_endpoint(an_endpoint(events=("call.started",)))
    await store.append([event for i in range(30) for event in Story(f"c{i}").tell(started())])
    for count in range(0, 60, 2):
        claiming = asyncio.create_task(claimed(store, START, limit=1, lease_s=10))
        await turns(count)
        claiming.cancel()
        await asyncio.gather(claiming, return_exceptions=True)
    async with asyncio.timeout(30):
        await store.ping()  # behind the last claim, where writers stand in line
        if running := getattr(store._db, "_running", None):  # type: ignore[attr-defined]
            await asyncio.wait(running)
        assert len(await claimed(store, START + 10)) == 30


async def test_connections_that_are_cut(store: Store, database_url: str) -> None:
    """PostgreSQL restarts: at worst one try fails as an outage, and the next one succeeds."""
    if database_url.startswith("sqlite"):
        pytest.skip("SQLite has no connection that could be cut")
    story = Story()
    await store.append(story.tell(started()))
    for _ in range(3):
        admin = await asyncpg.connect(database_url)
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'callbridge' AND datname = current_database()"
        )
        await admin.close()
        happened = story.tell(final(story.seq, "hello"))
        for _ in range(2):
            with contextlib.suppress(StoreError):
                await store.append(happened)
                break
        assert len((await store.calls("acme", CallFilter(), cursor=None, limit=9)).calls) == 1
    assert [event.seq for event in await store.events("acme", "call-1", after=0, limit=9)] == [1, 2, 3, 4]
