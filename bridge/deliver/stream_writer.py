"""A node's events on their way to Redis: in order, together, and never in a call's way."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from bridge.deliver.streams import ADD, END, Keys, write_down
from bridge.metrics import LIVE_DROPPED
from bridge.model.call_key import CallKey
from bridge.model.events import Event
from bridge.ports import Clock

log = structlog.get_logger(__name__)

MOST_WAITING: Final = 10_000
"""Events in line while Redis is away; then the oldest go. Readers elsewhere find them in the store."""
MOST_AT_ONCE: Final = 200
FIRST_BACKOFF_S: Final = 0.1
LONGEST_BACKOFF_S: Final = 2.0


class StreamWriter:
    """`put` and `end` return at once; `run` tries what is in line until Redis has taken it."""

    def __init__(self, redis: Redis, keys: Keys, node: str, clock: Clock) -> None:
        self._redis = redis
        self._keys = keys
        self._node = node
        self._clock = clock
        self._line: deque[Event | CallKey] = deque()
        """Events, and calls that are settled."""
        self._skipped: set[str] = set()
        """Tenants whose events were dropped: their readers are to see that something is missing."""
        self._news = asyncio.Event()
        self.fault: str | None = None

    def put(self, events: Sequence[Event]) -> None:
        for event in events:
            self._join(event)

    def end(self, key: CallKey) -> None:
        self._join(key)

    def _join(self, item: Event | CallKey) -> None:
        if len(self._line) >= MOST_WAITING:
            dropped = self._line.popleft()
            if isinstance(dropped, Event):
                self._skipped.add(dropped.tenant)
                LIVE_DROPPED.inc()
        self._line.append(item)
        self._news.set()

    async def run(self) -> None:
        backoff_s = FIRST_BACKOFF_S
        while True:
            if not self._line:
                self._news.clear()
                await self._news.wait()
            batch = [self._line[nth] for nth in range(min(len(self._line), MOST_AT_ONCE))]
            try:
                await self._send(batch)
            except (RedisError, OSError) as error:
                if self.fault is None:
                    log.warning("live events do not reach Redis, will try again", error=str(error))
                self.fault = f"live events do not reach other nodes: {error}"
                await self._clock.sleep(backoff_s)
                backoff_s = min(2 * backoff_s, LONGEST_BACKOFF_S)
                continue
            if self.fault is not None:
                log.info("live events reach Redis again", waiting=len(self._line))
            self.fault, backoff_s = None, FIRST_BACKOFF_S
            sent = set(map(id, batch))
            while self._line and id(self._line[0]) in sent:
                self._line.popleft()

    async def flush(self) -> None:
        """What is in line, once, if Redis takes it now: a node that stops has nobody to try again for it."""
        try:
            await self._send(list(self._line))
        except (RedisError, OSError) as error:
            log.warning("live events are left out", events=len(self._line), error=str(error))

    async def _send(self, batch: Sequence[Event | CallKey]) -> None:
        """Sending again what Redis has changes nothing."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for tenant in self._skipped:
                pipe.incr(self._keys.places(tenant))
            for item in batch:
                if isinstance(item, Event):
                    pipe.eval(
                        ADD,
                        3,
                        self._keys.call(item.key),
                        self._keys.tenant(item.tenant),
                        self._keys.places(item.tenant),
                        item.seq,
                        write_down(item),
                        self._node,
                    )
                else:
                    pipe.eval(END, 1, self._keys.call(item))
            await pipe.execute()
        self._skipped.clear()
