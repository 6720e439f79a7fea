"""Servers that share a store: a call is its server's while that lives, and then one other's."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from sqlalchemy import Connection, text

from bridge.clock import SystemClock
from bridge.errors import ConflictError
from bridge.ports import Store
from bridge.store.address import database_at
from bridge.store.cipher import Cipher
from bridge.store.sql import open_store
from tests.contract.conftest import run_sql
from tests.story import Story, acmes, ended, final, started

LEASE_S = 60.0
BRIEF_S = 0.05


@pytest.fixture
async def servers(database_url: str) -> AsyncIterator[list[Store]]:
    """Three servers of one database."""
    async with AsyncExitStack() as stack:
        opened = []
        for node in ("a", "b", "c"):
            store = await open_store(database_url, Cipher(["test key"]), SystemClock(), node=node)
            stack.push_async_callback(store.close)
            opened.append(store)
        yield opened


async def names(store: Store) -> list[str]:
    return [record.call_id for record in await store.unfinished()]


async def test_a_living_servers_calls_are_its_own(servers: list[Store]) -> None:
    """Whether they go on or wait to be settled, no server finds them unfinished while the lease lasts."""
    a, b, _ = servers
    await a.beat(LEASE_S)
    await a.append(Story("goes-on").tell(started()))
    await a.append(Story("over").tell(started(), ended()))
    assert await names(b) == await names(a) == []
    assert (await b.call("acme", "goes-on")).node == "a"


async def test_a_lease_that_runs_out(servers: list[Store]) -> None:
    """The calls are left; a server that lives again has them back."""
    a, b, _ = servers
    await a.beat(BRIEF_S)
    await a.append(Story("left").tell(started()))
    await asyncio.sleep(2 * BRIEF_S)
    assert await names(b) == ["left"]
    await a.beat(LEASE_S)
    assert await names(b) == []


async def test_a_server_that_takes_its_leave(servers: list[Store]) -> None:
    """What it has not finished is anybody's at once."""
    a, b, _ = servers
    await a.beat(LEASE_S)
    await a.append(Story("left").tell(started()))
    await a.leave()
    assert await names(b) == ["left"]


async def test_a_call_is_adopted_by_one_server(servers: list[Store]) -> None:
    """However many ask at once; the others do not find it any more."""
    a, b, c = servers
    for store in (b, c):
        await store.beat(LEASE_S)
    await a.append(Story("left").tell(started()))
    (record,) = await b.unfinished()
    tries = [store.adopt(record) for store in (b, c) for _ in range(4)]
    assert (await asyncio.gather(*tries)).count(True) == 1
    assert await names(b) == await names(c) == []
    assert (await a.call("acme", "left")).node in {"b", "c"}


async def test_a_server_that_comes_back_in_time_keeps_its_calls(servers: list[Store]) -> None:
    """Who saw it dead a moment ago does not get them."""
    a, b, _ = servers
    await a.append(Story("left").tell(started()))
    (record,) = await b.unfinished()
    await a.beat(LEASE_S)
    assert not await b.adopt(record)


async def test_an_adopted_call_goes_on(servers: list[Store]) -> None:
    """Its new server tells the rest and settles it; what the old one still says has no place."""
    a, b, _ = servers
    story = Story("left")
    await a.append(story.tell(started(), final(1, "one")))
    late = Story("left")
    late.seq = story.seq
    (record,) = await b.unfinished()
    assert await b.adopt(record)
    await b.append(story.tell(final(2, "two"), ended("recovered")))
    await b.settle(acmes("left"), 0.0)
    with pytest.raises(ConflictError):
        await a.append([dataclasses.replace(event, id="evt_late") for event in late.tell(final(2, "late"))])
    assert (await a.call("acme", "left")).settled
    assert [segment.text for segment in await a.segments("acme", "left")] == ["one", "two"]


async def test_calls_of_a_version_that_knew_no_servers(servers: list[Store], database_url: str) -> None:
    """They have none, are found as ever, and adopted by one."""
    _, b, c = servers
    old = await open_store(database_url, Cipher(["test key"]), SystemClock())
    await old.append(Story("old").tell(started()))
    await old.close()
    (record,) = await b.unfinished()
    assert record.node is None
    assert [await store.adopt(record) for store in (b, c)] == [True, False]


async def test_a_question_of_several_statements_is_about_one_moment(postgres_url: str) -> None:
    """What another server writes between two of them is in neither."""
    async with AsyncExitStack() as stack:
        database = database_at(postgres_url)
        stack.push_async_callback(database.close)

        def twice(connection: Connection) -> list[int]:
            counts = []
            for _ in range(2):
                counts.append(connection.execute(text("SELECT count(*) FROM moments")).scalar_one())
                other = threading.Thread(target=lambda: asyncio.run(run_sql(name, "INSERT INTO moments VALUES (1)")))
                other.start()
                other.join()
            return counts

        name = postgres_url.rpartition("/")[2]
        await run_sql(name, "CREATE TABLE moments (one int)")
        try:
            assert await database.read(twice) == [0, 0]
            assert await database.write(twice) == [2, 3], "a write sees what others have written"
        finally:
            await run_sql(name, "DROP TABLE moments")
