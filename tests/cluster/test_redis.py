"""Live events over a Redis that is slow to forget, goes away, comes back, or comes back empty."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from bridge.clock import SystemClock
from bridge.deliver import stream_reader, stream_writer
from bridge.deliver.stream_writer import StreamWriter
from bridge.deliver.streams import CALL_KEPT, OVER_KEPT_S, TENANT_KEPT, Keys
from bridge.errors import SetupError, SlowReaderError, StoreError
from bridge.model.events import Event
from tests.cluster.line import Line
from tests.live import PATIENCE_S, REDIS, Teller, read, redis_prefix, until
from tests.story import Story, acmes, ended, final, started
from tests.unit.deliver.conftest import MemoryCalls


@dataclass
class Pair:
    """Node `a` tells, node `b` reads, each over a line of its own to one Redis."""

    prefix: str
    client: Any
    calls: MemoryCalls
    lines: dict[str, Line]
    hubs: dict[str, Any]
    a: Teller

    async def sees_fault(self, node: str, *, lost: bool) -> None:
        async def holds() -> bool:
            try:
                await self.hubs[node].check()
            except StoreError:
                return lost
            return not lost

        async with asyncio.timeout(PATIENCE_S):
            while not await holds():  # noqa: ASYNC110  # no event tells of it
                await asyncio.sleep(0.01)


async def seen(watched: AsyncIterator[Event], seq: int) -> None:
    """Reads on until the event of that number has come: a reader that began late may not see those before it."""
    while (await anext(watched)).seq != seq:
        pass


@pytest.fixture
async def pair(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pair]:
    monkeypatch.setattr(stream_reader, "LOOK_AGAIN_S", 0.1)
    monkeypatch.setattr(stream_reader, "BACKOFF_S", 0.05)
    calls = MemoryCalls()
    async with AsyncExitStack() as stack:
        prefix = await stack.enter_async_context(redis_prefix())
        from redis.asyncio import Redis  # noqa: PLC0415  # an extra

        from bridge.deliver.shared_hub import SharedHub  # noqa: PLC0415  # the same

        client = Redis.from_url(REDIS, decode_responses=True)
        stack.push_async_callback(client.aclose)
        at = urlsplit(REDIS)
        lines, hubs = {}, {}
        for name in ("a", "b"):
            lines[name] = line = await Line(at.hostname or "", at.port or 6379).mend()
            stack.push_async_callback(line.cut)
            url = f"redis://127.0.0.1:{line.port}{at.path}"
            hubs[name] = SharedHub(calls, url, name, SystemClock(), prefix=prefix)  # type: ignore[arg-type]
            hubs[name].start()
            stack.push_async_callback(hubs[name].close)
        teller = Teller(calls, hubs["a"])
        stack.push_async_callback(teller.journal.close)
        yield Pair(prefix, client, calls, lines, hubs, teller)


async def test_a_reader_whose_redis_goes_and_comes_back(pair: Pair) -> None:
    """It is said; the store tells meanwhile; afterwards Redis does again, without a restart, and nothing is missing."""
    await pair.a.begin()
    reading = asyncio.create_task(read(pair.hubs["b"].call("acme", "c")))
    await pair.a.say(3)
    await pair.lines["b"].cut()
    await pair.sees_fault("b", lost=True)
    await pair.hubs["a"].check()
    await pair.a.say(3)
    assert await read(pair.hubs["b"].call("acme", "c", after=4), 3) == [5, 6, 7], "the store tells"
    await pair.lines["b"].mend()
    await pair.sees_fault("b", lost=False)
    await pair.a.say(3)
    await pair.a.end()
    assert await reading == list(range(1, 12))


async def test_a_teller_whose_redis_goes_and_comes_back(pair: Pair) -> None:
    """Its own readers notice nothing, its calls neither; others read the store, then get what had waited, once."""
    await pair.a.begin()
    own = asyncio.create_task(read(pair.hubs["a"].call("acme", "c")))
    other = asyncio.create_task(read(pair.hubs["b"].call("acme", "c")))
    watched = pair.hubs["b"].tenant("acme")
    begun = asyncio.ensure_future(seen(watched, 2))
    await asyncio.sleep(0.1)
    await pair.a.say(1)
    await begun
    await pair.lines["a"].cut()
    await pair.a.say(5)
    await pair.sees_fault("a", lost=True)
    await pair.lines["a"].mend()
    await pair.sees_fault("a", lost=False)
    await pair.a.end()
    assert await own == await other == list(range(1, 9))
    async with asyncio.timeout(PATIENCE_S):
        assert [(await anext(watched)).seq for _ in range(6)] == list(range(3, 9))
    await watched.aclose()


async def test_a_call_that_ends_while_redis_is_away(pair: Pair) -> None:
    """Its readers on another node are let go by the store's word."""
    await pair.a.begin()
    reading = asyncio.create_task(read(pair.hubs["b"].call("acme", "c")))
    await pair.a.say(1)
    for line in pair.lines.values():
        await line.cut()
    await pair.a.end()
    assert await reading == [1, 2, 3]


async def test_a_redis_that_comes_back_empty(pair: Pair) -> None:
    """A call's readers miss nothing; who reads all of a tenant's calls is told that something is missing."""
    await pair.a.begin()
    reading = asyncio.create_task(read(pair.hubs["b"].call("acme", "c")))
    watched = pair.hubs["b"].tenant("acme")
    first = asyncio.ensure_future(anext(watched))
    await asyncio.sleep(0.1)
    await pair.a.say(2)
    await first
    await pair.lines["b"].cut()
    keys = [key async for key in pair.client.scan_iter(f"{pair.prefix}:*")]
    await pair.client.delete(*keys)
    await pair.a.say(2)
    await pair.lines["b"].mend()
    await pair.a.say(2)
    await pair.a.end()
    assert await reading == list(range(1, 9))
    with pytest.raises(SlowReaderError):
        await read(watched)


async def test_streams_are_bounded_and_go_away(pair: Pair) -> None:
    """However long a call, Redis keeps its newest events alone, and none long after its end."""
    keys = Keys(pair.prefix)
    await pair.a.begin()
    await pair.a.say(3 * CALL_KEPT)
    await until(lambda: not pair.hubs["a"]._writer._line)
    assert await pair.client.xlen(keys.call(acmes("c"))) == CALL_KEPT
    assert await pair.client.xlen(keys.tenant("acme")) <= TENANT_KEPT + 100
    await pair.a.end()
    await until(lambda: not pair.hubs["a"]._writer._line)
    assert 0 < await pair.client.ttl(keys.call(acmes("c"))) <= OVER_KEPT_S
    assert 0 < await pair.client.ttl(keys.tenant("acme")) <= OVER_KEPT_S


async def test_what_is_sent_again_is_there_once(pair: Pair) -> None:
    """A writer that was cut off before it heard so tries the same again."""
    story = Story("again")
    told = story.tell(started(), final(1, "one"), ended())
    writer = StreamWriter(pair.client, Keys(pair.prefix), "a", SystemClock())
    for _ in range(3):
        await writer._send([*told, acmes("again")])
    keys = Keys(pair.prefix)
    assert [place for place, _ in await pair.client.xrange(keys.call(acmes("again")))][:3] == ["1-0", "2-0", "3-0"]
    assert [fields["place"] for _, fields in await pair.client.xrange(keys.tenant("acme"))] == ["1", "2", "3"]


async def test_an_id_that_is_chosen_again(pair: Pair) -> None:
    """A call deleted and begun anew under the same id has its own events alone."""
    await pair.a.begin()
    await pair.a.say(5)
    await pair.a.end()
    pair.calls.kept.pop("c")
    pair.calls.settled.clear()
    await pair.a.begin()
    reading = asyncio.create_task(read(pair.hubs["b"].call("acme", "c")))
    await pair.a.say(1)
    await pair.a.end()
    assert await reading == [1, 2, 3]


async def test_what_waits_for_redis_is_bounded(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go. A call's readers find them in the store; a tenant's are told that something is missing."""
    monkeypatch.setattr(stream_writer, "MOST_WAITING", 10)
    watched = pair.hubs["b"].tenant("acme")
    first = asyncio.ensure_future(anext(watched))
    await asyncio.sleep(0.1)
    await pair.a.begin()
    await first
    reading = asyncio.create_task(read(pair.hubs["b"].call("acme", "c")))
    await pair.lines["a"].cut()
    await pair.a.say(30)
    assert len(pair.hubs["a"]._writer._line) == 10
    await pair.lines["a"].mend()
    await pair.a.end()
    assert await reading == list(range(1, 33))
    with pytest.raises(SlowReaderError):
        await read(watched)


@pytest.mark.parametrize("seed", range(4))
async def test_any_order_of_cuts(pair: Pair, seed: int) -> None:
    """However lines break while a call is told and read, its readers see each event once and in order."""
    chance = random.Random(seed)  # noqa: S311  # to be drawn again
    await pair.a.begin()
    reading = [asyncio.create_task(read(pair.hubs[node].call("acme", "c"))) for node in ("a", "b", "b")]
    said = 0
    for _ in range(12):
        line = pair.lines[chance.choice("ab")]
        if chance.random() < 0.5:
            await line.cut()
        elif line._server is None:
            await line.mend()
        count = chance.randrange(1, 90)
        await pair.a.say(count)
        said += count
        await asyncio.sleep(chance.uniform(0, 0.05))
    for line in pair.lines.values():
        if line._server is None:
            await line.mend()
    await pair.a.end()
    assert await asyncio.gather(*reading) == [list(range(1, said + 3))] * 3


def test_an_address_that_cannot_be_read() -> None:
    """It is a fault of the settings, without its password."""
    pytest.importorskip("redis")
    from bridge.deliver.shared_hub import SharedHub  # noqa: PLC0415  # an extra

    with pytest.raises(SetupError) as fault:
        SharedHub(MemoryCalls(), "redis://:hunter2@host:port/0", "a", SystemClock())  # type: ignore[arg-type]
    assert "hunter2" not in fault.value.message
