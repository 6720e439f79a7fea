"""Live events of every node's calls, for subscribers of any node: `CALLBRIDGE_EVENTS_URL=redis://…`.

What this node tells is shown here at once, as with one node alone, and put into Redis for the others. What others tell
is read from there while somebody here waits for it. Redis away is the live view's loss alone: this node's own calls
are as live as ever, those of other nodes come from the store every few seconds, and no call notices.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from bridge.deliver.hub import Hub
from bridge.deliver.stream_reader import BLOCK_MS, Fields, StreamReader
from bridge.deliver.stream_writer import StreamWriter
from bridge.deliver.streams import Keys, read_again
from bridge.errors import SetupError, StoreError
from bridge.metrics import LIVE_CONNECTED
from bridge.model.call_key import CallKey
from bridge.model.events import Event
from bridge.ports import CallStore, Clock

PREFIX: Final = "callbridge"
CONNECT_TIMEOUT_S: Final = 2.0
ANSWER_TIMEOUT_S: Final = BLOCK_MS / 1000 + 3.0
FLUSH_S: Final = 2.0


class SharedHub:
    """The `EventBoard` and `EventFeed` ports over Redis. `start` before use, `close` after."""

    def __init__(self, store: CallStore, url: str, node: str, clock: Clock, *, prefix: str = PREFIX) -> None:
        """`node`: this process, unlike every other. Raises SetupError for an address that cannot be read."""
        self._hub = Hub(store)
        self._node = node
        self._keys = Keys(prefix)
        self._redis, self._blocking = _client(url), _client(url)
        self._writer = StreamWriter(self._redis, self._keys, node, clock)
        self._reader = StreamReader(self._blocking, self._keys, node, clock)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        work = {"writer": self._writer.run(), "reader": self._reader.run(), "checks": self._reader.look_again()}
        self._tasks = [asyncio.create_task(job, name=f"live events {name}") for name, job in work.items()]
        LIVE_CONNECTED.set_function(lambda: self._fault() is None)

    async def close(self) -> None:
        for task in self._tasks:
            await _ended(task)
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_S):
                await self._writer.flush()
        await self._redis.aclose()
        await self._blocking.aclose()

    async def check(self) -> None:
        """Raises StoreError while the live view is not whole."""
        if (fault := self._fault()) is not None:
            raise StoreError(fault)

    def _fault(self) -> str | None:
        return self._writer.fault or self._reader.fault

    # -- telling ---------------------------------------------------------------------------------------------------

    async def show(self, events: Sequence[Event]) -> None:
        self._writer.put(events)  # first: what is woken next may be a thousand readers
        await self._hub.show(events)

    async def finish(self, key: CallKey) -> None:
        await self._hub.finish(key)
        self._writer.end(key)

    # -- reading ---------------------------------------------------------------------------------------------------

    async def call(
        self, tenant: str, call_id: str, *, after: int = 0, coming: bool = False
    ) -> AsyncGenerator[Event, None]:
        """The `EventFeed` port. Raises StoreError when older events cannot be read; resume at the last `seq`."""
        key = CallKey(tenant, call_id)
        events = self._hub.call(tenant, call_id, after=after, coming=coming)
        if coming or self._hub.is_own(key):
            async with aclosing(events):
                async for event in events:
                    yield event
            return

        def doubt() -> None:
            self._hub.doubt(key)

        def take(fields: Fields) -> None:
            if "end" in fields:
                self._hub.over(key)
            elif fields["node"] != self._node:
                self._hub.pass_on(read_again(fields["event"]))

        with self._reader.reading(self._keys.call(key), take, doubt, from_now=False):
            await self._reader.ring(self._redis)
            async with aclosing(events):
                async for event in events:
                    yield event

    async def tenant(self, tenant: str) -> AsyncGenerator[Event, None]:
        """The `EventFeed` port. Raises SlowReaderError when events went by unread; each call can still be resumed."""
        row = _Row()

        def take(fields: Fields) -> None:
            if row.misses(int(fields["place"])):
                self._hub.miss(tenant)
            if fields["node"] != self._node:
                self._hub.pass_on_to_tenant(read_again(fields["event"]))

        with self._reader.reading(self._keys.tenant(tenant), take, lambda: None, from_now=True):
            await self._reader.ring(self._redis)
            async with aclosing(self._hub.tenant(tenant)) as events:
                async for event in events:
                    yield event


@dataclass(slots=True)
class _Row:
    """A tenant's events, counted."""

    place: int | None = None

    def misses(self, place: int) -> bool:
        """Whether `place` does not follow the last one."""
        before, self.place = self.place, place
        return before is not None and place != before + 1


async def _ended(task: asyncio.Task[None]) -> None:
    """Cancelled until it is: the driver takes a cancellation in the middle of a connect for a timeout."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=0.1)


def _client(url: str) -> Redis:
    try:
        return Redis.from_url(
            url,
            decode_responses=True,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            socket_timeout=ANSWER_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            client_name="callbridge",
        )
    except ValueError as error:  # its words may repeat the password
        raise SetupError("CALLBRIDGE_EVENTS_URL cannot be read: it must look like redis://HOST:6379/0") from error
