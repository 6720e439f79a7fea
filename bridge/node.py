"""One server of several that share a database: known by a name, and by saying again and again that it lives."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from typing import Final, Self

import structlog

from bridge.errors import StoreError
from bridge.ports import Clock, NodeStore

log = structlog.get_logger(__name__)

LEASE_S: Final = 8.0
"""A server that has said nothing for so long is dead to the others: they finish its calls."""
BEAT_S: Final = 2.0


def new_node() -> str:
    """A name for this process, like no other's."""
    return f"node_{secrets.token_hex(8)}"


class Lease:
    """What keeps this server's calls its own, from before the first to after the last of them."""

    def __init__(self, store: NodeStore, clock: Clock, *, shared: bool) -> None:
        """Where the store is not `shared`, there is nobody to be told, and nobody to be judged."""
        self._store = store
        self._clock = clock
        self._shared = shared
        self._heard_at = self._steady_since = clock.monotonic()
        self._beating: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Raises StoreError."""
        if not self._shared:
            return self
        await self._store.beat(LEASE_S)
        self._heard_at = self._steady_since = self._clock.monotonic()
        self._beating = asyncio.create_task(self._beat(), name="lease")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Others may take up at once what is left."""
        if self._beating is None:
            return
        self._beating.cancel()
        with suppress(asyncio.CancelledError):
            await self._beating
        with suppress(StoreError):
            await self._store.leave()

    def may_judge(self) -> bool:
        """Whether others that seem dead are. A database that was away for all of us has let every lease run out: only
        who has reached it for as long as a lease lasts knows better.
        """
        now = self._clock.monotonic()
        return not self._shared or now - self._heard_at < LEASE_S <= now - self._steady_since

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(BEAT_S)
            try:
                await self._store.beat(LEASE_S)
            except StoreError as error:
                log.warning("the database does not hear that this server lives", error=error.message)
                continue
            now = self._clock.monotonic()
            if now - self._heard_at > LEASE_S:
                self._steady_since = now
            self._heard_at = now
