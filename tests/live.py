"""Nodes that tell and read live events, over one store in memory: one hub, or several over a Redis."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from bridge.clock import SystemClock
from bridge.deliver.journal import Journal
from bridge.model.call_key import CallKey
from bridge.model.events import Event
from tests.story import acmes, ended, final, started
from tests.unit.deliver.conftest import MemoryCalls

REDIS: Final = os.environ.get("CALLBRIDGE_TEST_REDIS", "redis://127.0.0.1:6379/15")
PATIENCE_S: Final = 10.0


class Teller:
    """A journal over a hub: one node as its calls see it."""

    def __init__(self, calls: MemoryCalls, hub: Any) -> None:
        self.hub = hub
        self.journal = Journal(calls, hub, SystemClock())  # type: ignore[arg-type]
        self.journal.start()

    async def begin(self, call_id: str = "c", tenant: str = "acme") -> None:
        key = CallKey(tenant, call_id)
        self.journal.open(key)
        await self.journal.publish(key, started())

    async def say(self, count: int, call_id: str = "c") -> None:
        for number in range(count):
            await self.journal.publish(acmes(call_id), final(number, "word"))

    async def end(self, call_id: str = "c") -> None:
        await self.journal.publish(acmes(call_id), ended())
        await self.journal.settled(acmes(call_id))


async def read(feed: AsyncIterator[Event], count: int | None = None) -> list[int]:
    """The seqs of `count` events, or of all until the feed ends."""
    seen: list[int] = []
    async with asyncio.timeout(PATIENCE_S), contextlib.aclosing(feed) as events:  # type: ignore[type-var]
        async for event in events:
            seen.append(event.seq)
            if len(seen) == count:
                break
    return seen


async def until(holds: Any) -> None:
    """Wait for what other tasks bring about."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110  # anything may bring it about
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def redis_prefix(prefix: str | None = None) -> AsyncIterator[str]:
    """A prefix of our own in the Redis of the tests, emptied afterwards. Skips where there is none."""
    redis_module = pytest.importorskip("redis.asyncio", reason="redis is not installed (the extra `redis`)")
    client = redis_module.Redis.from_url(REDIS, decode_responses=True, socket_connect_timeout=2)
    try:
        await client.ping()
    except Exception as error:  # noqa: BLE001  # whatever it is, there is no Redis to test with
        await client.aclose()
        pytest.skip(f"no Redis at {REDIS} (CALLBRIDGE_TEST_REDIS): {error}")
    prefix = prefix or f"callbridge-test-{secrets.token_hex(6)}"
    try:
        yield prefix
    finally:
        keys = [key async for key in client.scan_iter(f"{prefix}:*", count=1000)]
        if keys:
            await client.delete(*keys)
        await client.aclose()
