"""The hub: every subscriber sees everything once, in order, at its own pace."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.deliver import hub as hub_module
from bridge.deliver.hub import PAGE, RECENT_OF_CALL, Hub
from bridge.deliver.journal import Journal
from bridge.errors import SlowReaderError
from bridge.model.call_key import CallKey
from bridge.model.events import Event
from tests.clock import VirtualClock
from tests.story import Story, acmes, ended, final, started
from tests.unit.deliver.conftest import MemoryCalls


class Bridge:
    """Journal and hub over one store in memory."""

    def __init__(self, calls: MemoryCalls) -> None:
        self.calls = calls
        self.hub = Hub(calls)  # type: ignore[arg-type]
        self.journal = Journal(calls, self.hub, VirtualClock())  # type: ignore[arg-type]
        self.journal.start()

    async def begin(self, call_id: str = "c", tenant: str = "acme") -> None:
        self.journal.open(CallKey(tenant, call_id))
        await self.journal.publish(CallKey(tenant, call_id), started())

    async def say(self, count: int, call_id: str = "c") -> None:
        for number in range(count):
            await self.journal.publish(acmes(call_id), final(number, "word"))

    async def end(self, call_id: str = "c") -> None:
        await self.journal.publish(acmes(call_id), ended())
        await self.journal.settled(acmes(call_id))


@pytest.fixture
async def bridge(calls: MemoryCalls) -> AsyncIterator[Bridge]:
    bridge = Bridge(calls)
    yield bridge
    await bridge.journal.close()


async def read(feed: AsyncIterator[Event], count: int | None = None) -> list[int]:
    """The seqs of `count` events, or of all until the feed ends."""
    seen: list[int] = []
    async with contextlib.aclosing(feed) as events:  # type: ignore[type-var]
        async for event in events:
            seen.append(event.seq)
            if len(seen) == count:
                break
    return seen


async def test_who_is_far_behind_reads_the_store(bridge: Bridge, calls: MemoryCalls) -> None:
    """What memory does not hold any more comes from the store; who keeps up never asks it."""
    await bridge.begin()
    await bridge.say(3 * RECENT_OF_CALL + PAGE)
    late = asyncio.create_task(read(bridge.hub.call("acme", "c")))
    near = asyncio.create_task(read(bridge.hub.call("acme", "c", after=3 * RECENT_OF_CALL + PAGE)))
    await bridge.end()
    assert await late == list(range(1, 3 * RECENT_OF_CALL + PAGE + 3))
    assert await near == [3 * RECENT_OF_CALL + PAGE + 1, 3 * RECENT_OF_CALL + PAGE + 2]
    assert 1 <= calls.reads <= 4


async def test_every_place_to_resume_from(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever memory begins and the store's pages end, nothing is missed or doubled at the seam."""
    monkeypatch.setattr(hub_module, "RECENT_OF_CALL", 4)
    monkeypatch.setattr(hub_module, "PAGE", 3)
    await bridge.begin()
    for said in range(1, 16):
        await bridge.say(1)
        feeds = [bridge.hub.call("acme", "c", after=after) for after in range(said + 1)]
        for after, feed in enumerate(feeds):
            assert await read(feed, said + 1 - after) == list(range(after + 1, said + 2))
    waiting = [asyncio.create_task(read(bridge.hub.call("acme", "c", after=after))) for after in range(17)]
    await VirtualClock().settle()
    await bridge.end()
    assert await asyncio.gather(*waiting) == [list(range(after + 1, 18)) for after in range(17)]


async def test_many_who_lose_touch_at_once(bridge: Bridge, calls: MemoryCalls) -> None:
    """The store is asked once for all of them, also when the first of them leaves meanwhile."""
    events = Story("c").tell(started(), final(0, "one"), final(1, "two"), ended())
    await calls.append(events[:2])
    reading = [asyncio.create_task(read(bridge.hub.call("acme", "c"))) for _ in range(100)]
    await VirtualClock().settle()
    bridge.hub.pass_on(events[1])
    await calls.append(events[2:])
    before = calls.reads
    bridge.hub.doubt(acmes("c"))
    await asyncio.sleep(0)
    reading.pop(0).cancel()
    await VirtualClock().settle()
    assert calls.reads - before <= 2, "once for what is there, once for whether that was all"
    await calls.settle(acmes("c"), 0.0)
    bridge.hub.over(acmes("c"))
    assert await asyncio.gather(*reading) == [[1, 2, 3, 4]] * 99


async def test_who_leaves_while_the_store_is_asked(
    bridge: Bridge, calls: MemoryCalls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once nobody waits for the answer, nobody asks."""
    asked = asyncio.Event()

    async def never(*_: str) -> None:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(calls, "call", never)
    before = asyncio.all_tasks()
    reading = [asyncio.ensure_future(anext(bridge.hub.call("acme", "c"))) for _ in range(2)]
    await asked.wait()
    for reader in reading:
        reader.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    assert {task for task in asyncio.all_tasks() - before if not task.done()} == set()


async def test_memory_is_bounded(bridge: Bridge) -> None:
    """However long a call, however slow its subscribers, a live call holds a bounded number of events."""
    await bridge.begin()
    feeds = [bridge.hub.call("acme", "c") for _ in range(100)]
    for feed in feeds:
        await anext(feed)
    await bridge.say(10 * RECENT_OF_CALL)
    assert len(bridge.hub._calls[acmes("c")]._events) <= 2 * RECENT_OF_CALL
    for feed in feeds:
        await feed.aclose()  # type: ignore[attr-defined]
    await bridge.end()
    assert bridge.hub._calls == {}


async def test_a_subscriber_who_leaves(bridge: Bridge) -> None:
    """Nothing of it stays, whether the call is live or not."""
    await bridge.begin()
    reading = asyncio.create_task(read(bridge.hub.call("acme", "c")))
    watching = asyncio.create_task(read(bridge.hub.tenant("acme")))
    await VirtualClock().settle()
    for task in (reading, watching):
        task.cancel()
    await asyncio.gather(reading, watching, return_exceptions=True)
    assert bridge.hub._calls[acmes("c")].watched == 0
    assert bridge.hub._tenants == {}


async def test_a_tenants_feed_that_is_not_read(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told that it missed something, instead of missing it silently."""
    monkeypatch.setattr(hub_module, "RECENT_OF_TENANT", 16)
    feed = bridge.hub.tenant("acme")
    first = asyncio.ensure_future(anext(feed))
    await VirtualClock().settle()
    await bridge.begin()
    await first
    await bridge.say(100)
    with pytest.raises(SlowReaderError):
        await read(feed)


INTERLEAVING = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.integers(1, 12)),
        st.tuples(st.just("subscribe"), st.integers(0, 3)),
        st.tuples(st.just("read"), st.integers(0, 3), st.integers(1, 9)),
        st.tuples(st.just("cut"), st.integers(0, 3)),
        st.tuples(st.just("turn"), st.integers(1, 3)),
        st.tuples(st.just("outage"), st.integers(1, 3)),
        st.tuples(st.just("crash")),
    ),
    max_size=40,
)
"""What publisher, subscribers and store do next."""


class Subscriber:
    """Reads a few events at a time; after a cut it resumes behind the last one it saw."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.feed: Any = None
        self.next: asyncio.Task[Event] | None = None

    def subscribe(self, hub: Hub) -> None:
        if self.feed is None:
            self.feed = hub.call("acme", "c", after=self.seen[-1] if self.seen else 0)

    async def read(self, count: int) -> None:
        for _ in range(count if self.feed is not None else 0):
            self.next = self.next or asyncio.ensure_future(anext(self.feed))
            await turns(4)
            if not self.next.done():
                return
            task, self.next = self.next, None
            self.seen.append(task.result().seq)

    async def cut(self) -> None:
        """The socket drops: what was on its way is not seen."""
        if self.next is not None:
            self.next.cancel()
            await asyncio.gather(self.next, return_exceptions=True)
            self.next = None
        if self.feed is not None:
            await self.feed.aclose()
            self.feed = None

    async def finish(self, hub: Hub) -> None:
        self.subscribe(hub)
        if self.next is not None:
            self.seen.append((await self.next).seq)
        self.seen += [event.seq async for event in self.feed]


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class Play:
    """One call, four subscribers, and a method for each kind of step."""

    def __init__(self) -> None:
        self.calls = MemoryCalls()
        self.bridge = Bridge(self.calls)
        self.subscribers = [Subscriber() for _ in range(4)]
        self.saying: list[asyncio.Task[None]] = []

    async def say(self, count: int) -> None:
        self.saying.append(asyncio.create_task(self.bridge.say(count)))

    async def subscribe(self, who: int) -> None:
        self.subscribers[who].subscribe(self.bridge.hub)

    async def read(self, who: int, count: int) -> None:
        await self.subscribers[who].read(count)

    async def cut(self, who: int) -> None:
        await self.subscribers[who].cut()

    async def turn(self, count: int) -> None:
        await turns(count)

    async def outage(self, count: int) -> None:
        self.calls.gate = asyncio.Event()
        await turns(count)
        self.calls.gate.set()

    async def crash(self) -> None:
        for subscriber in self.subscribers:
            await subscriber.cut()
        for task in self.saying:
            task.cancel()
        await asyncio.gather(*self.saying, return_exceptions=True)
        self.saying.clear()
        await self.bridge.journal.close()
        self.bridge = Bridge(self.calls)
        self.bridge.journal.open(acmes("c"), last_seq=len(self.calls.kept["c"]))


async def play(steps: list[tuple[Any, ...]]) -> None:
    play = Play()
    await play.bridge.begin()
    for name, *given_ in steps:
        await getattr(play, name)(*given_)
    await asyncio.gather(*play.saying)
    await play.bridge.end()
    for subscriber in play.subscribers:
        await asyncio.wait_for(subscriber.finish(play.bridge.hub), 5)
        assert subscriber.seen == list(range(1, len(play.calls.kept["c"]) + 1))
    assert play.bridge.hub._calls == {}
    await play.bridge.journal.close()


@given(INTERLEAVING)
@settings(max_examples=150)
def test_any_interleaving_misses_and_doubles_nothing(steps: list[tuple[Any, ...]]) -> None:
    """However publishing, reading, cuts, resumption, outages and restarts fall together."""
    small = {"RECENT_OF_CALL": 4, "PAGE": 3}
    before = {name: getattr(hub_module, name) for name in small}
    try:
        for name, value in small.items():
            setattr(hub_module, name, value)
        asyncio.run(play(steps))
    finally:
        for name, value in before.items():
            setattr(hub_module, name, value)
