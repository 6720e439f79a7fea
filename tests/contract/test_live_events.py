"""What a subscriber may rely on, whichever hub it reads from: one process, or another node over Redis."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from bridge.clock import SystemClock
from bridge.deliver.hub import PAGE, RECENT_OF_CALL, Hub
from bridge.errors import NotFoundError
from bridge.model.events import Event
from tests.live import PATIENCE_S, REDIS, Teller, read, redis_prefix
from tests.story import acmes, ended, final
from tests.unit.deliver.conftest import MemoryCalls


@dataclass
class Nodes:
    """`teller` has the calls, `feed` is where subscribers ask; `other` could take a call over."""

    calls: MemoryCalls
    teller: Teller
    other: Teller
    feed: Any

    async def watching(self) -> None:
        """Let subscriptions that have just begun reach wherever they are kept."""
        await asyncio.sleep(0.05)


@pytest.fixture(params=["memory", "redis", "redis-own"])
async def nodes(request: pytest.FixtureRequest) -> AsyncIterator[Nodes]:
    calls = MemoryCalls()
    async with contextlib.AsyncExitStack() as stack:
        hubs: list[Any] = []
        if request.param == "memory":
            hubs = [Hub(calls)] * 2  # type: ignore[arg-type]
        else:
            prefix = await stack.enter_async_context(redis_prefix())
            from bridge.deliver.shared_hub import SharedHub  # noqa: PLC0415  # an extra

            for name in ("a", "b"):
                shared = SharedHub(calls, REDIS, name, SystemClock(), prefix=prefix)  # type: ignore[arg-type]
                shared.start()
                stack.push_async_callback(shared.close)
                hubs.append(shared)
        tellers = [Teller(calls, hub) for hub in hubs]
        for teller in tellers:
            stack.push_async_callback(teller.journal.close)
        yield Nodes(calls, tellers[0], tellers[1], hubs[0 if request.param == "redis-own" else 1])


async def test_a_live_subscriber_sees_the_whole_call(nodes: Nodes) -> None:
    """From the first event to the last; the feed ends once the text is settled, not before."""
    await nodes.teller.begin()
    reading = asyncio.create_task(read(nodes.feed.call("acme", "c")))
    await nodes.teller.say(10)
    await nodes.teller.journal.publish(acmes("c"), ended())
    await nodes.teller.journal.publish(acmes("c"), final(1, "settled later"))
    await nodes.watching()
    assert not reading.done()
    await nodes.teller.journal.settled(acmes("c"))
    assert await reading == list(range(1, 14))


@pytest.mark.parametrize("after", [0, 5, 11, 12, 99])
async def test_a_finished_call_is_read_from_the_store(nodes: Nodes, after: int) -> None:
    """From any place, to its end; a place behind the end has nothing more."""
    await nodes.teller.begin()
    await nodes.teller.say(10)
    await nodes.teller.end()
    assert await read(nodes.feed.call("acme", "c", after=after)) == list(range(after + 1, 13))


async def test_every_place_to_resume_from_while_the_call_goes_on(nodes: Nodes) -> None:
    """Wherever a subscriber comes back, nothing is missing or doubled."""
    await nodes.teller.begin()
    waiting = []
    for after in range(20):
        waiting.append(asyncio.create_task(read(nodes.feed.call("acme", "c", after=after))))
        await nodes.teller.say(1)
    await nodes.teller.end()
    assert await asyncio.gather(*waiting) == [list(range(after + 1, 23)) for after in range(20)]


async def test_who_is_far_behind_catches_up(nodes: Nodes) -> None:
    """What memory and streams do not hold any more comes from the store."""
    await nodes.teller.begin()
    await nodes.teller.say(2 * RECENT_OF_CALL + PAGE)
    late = asyncio.create_task(read(nodes.feed.call("acme", "c")))
    await nodes.watching()
    await nodes.teller.end()
    assert await late == list(range(1, 2 * RECENT_OF_CALL + PAGE + 3))


async def test_a_slow_subscriber_beside_a_fast_one(nodes: Nodes) -> None:
    """Each reads at its own pace; the slow one misses nothing though everything has gone by."""
    await nodes.teller.begin()
    slow = nodes.feed.call("acme", "c")
    assert (await anext(slow)).seq == 1
    fast = asyncio.create_task(read(nodes.feed.call("acme", "c")))
    await nodes.teller.say(3 * RECENT_OF_CALL)
    await nodes.teller.end()
    assert await fast == list(range(1, 3 * RECENT_OF_CALL + 3))
    assert await read(slow) == list(range(2, 3 * RECENT_OF_CALL + 3))


async def test_a_call_of_another_tenant(nodes: Nodes) -> None:
    """It does not exist, live or finished."""
    await nodes.teller.begin()
    for call_id, tenant in (("c", "other"), ("never", "acme")):
        with pytest.raises(NotFoundError):
            await read(nodes.feed.call(tenant, call_id))
    await nodes.teller.end()
    with pytest.raises(NotFoundError):
        await read(nodes.feed.call("other", "c"))


async def test_a_call_that_another_node_takes_over(nodes: Nodes) -> None:
    """Who subscribes before it is taken up again misses nothing, and sees it end."""
    if nodes.feed is not nodes.other.hub:
        pytest.skip("who reads at the node that dies has to come back at another")
    await nodes.teller.begin()
    await nodes.teller.say(5)
    reading = asyncio.create_task(read(nodes.feed.call("acme", "c", after=2)))
    await nodes.watching()
    await nodes.teller.journal.close()
    nodes.other.journal.open(acmes("c"), last_seq=6)
    await nodes.other.say(2)
    await nodes.other.end()
    assert await reading == [3, 4, 5, 6, 7, 8, 9]


async def test_a_subscriber_who_comes_back_after_leaving(nodes: Nodes) -> None:
    """Leaving in mid-call leaves nothing in the next one's way."""
    await nodes.teller.begin()
    for said in range(1, 6):
        await nodes.teller.say(1)
        assert await read(nodes.feed.call("acme", "c", after=said), 1) == [said + 1]
    reading = asyncio.create_task(read(nodes.feed.call("acme", "c", after=6)))
    await nodes.teller.end()
    assert await reading == [7]


async def test_a_tenants_feed(nodes: Nodes) -> None:
    """All calls of the tenant from now on, each once and in its order, and nobody else's."""
    earlier = nodes.feed.tenant("acme")
    told: asyncio.Task[Event] = asyncio.ensure_future(anext(earlier))
    await nodes.watching()
    await nodes.teller.begin("before")
    async with asyncio.timeout(PATIENCE_S):
        await told  # it has reached the node that is asked
    await earlier.aclose()
    feed = nodes.feed.tenant("acme")
    first: asyncio.Task[Event] = asyncio.ensure_future(anext(feed))
    await nodes.watching()
    await nodes.teller.begin("a")
    await nodes.teller.begin("x", "other")
    await nodes.teller.say(1, "before")
    await nodes.other.begin("b")
    await nodes.teller.say(1, "a")
    async with asyncio.timeout(PATIENCE_S):
        seen = [await first, *[await anext(feed) for _ in range(3)]]
    assert sorted((event.call_id, event.seq) for event in seen) == [("a", 1), ("a", 2), ("b", 1), ("before", 2)]
    assert [event.seq for event in seen if event.call_id == "a"] == [1, 2]
    await feed.aclose()
