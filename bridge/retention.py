"""What is kept no longer than was said: calls with all that belongs to them, and recordings."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import structlog

from bridge.errors import SpoolError, StoreError
from bridge.ports import CallStore, Clock
from bridge.spool.kept import forget, forget_older, owners

log = structlog.get_logger(__name__)

EVERY_S: Final = 600.0
AT_ONCE: Final = 50
"""Calls in one transaction: calls in progress wait for it."""
BREATH_S: Final = 0.2
"""Between two of them."""
SWEEP_EVERY: Final = 144
"""Rounds; once a day."""
DAY_S: Final = 86_400.0


class Retention:
    """The worker. Several may work on one store, each on the recordings of its own folder."""

    def __init__(
        self,
        *,
        store: CallStore,
        folder: Path,
        clock: Clock,
        keep_calls_days: float | None,
        keep_recordings_days: float | None,
    ) -> None:
        """None keeps them."""
        self._store = store
        self._folder = folder
        self._clock = clock
        self._keep_calls_days = keep_calls_days
        self._keep_recordings_days = keep_recordings_days

    async def run(self) -> None:
        """Never ends. What the database or the disk refuses is left to the next round."""
        number = 0
        while True:
            try:
                await self.delete_old()
                if number % SWEEP_EVERY == 0:
                    await self.delete_ownerless()
                    await self.scrub()
            except (StoreError, SpoolError) as error:
                log.warning("what is to be deleted could not be, will try again", reason=error.message)
            number += 1
            await self._clock.sleep(EVERY_S)

    async def delete_old(self) -> None:
        """All that has been kept for long enough. Raises StoreError, SpoolError."""
        if self._keep_calls_days is not None:
            await self._delete_calls(self._clock.now() - self._keep_calls_days * DAY_S)
        kept_days = [days for days in (self._keep_calls_days, self._keep_recordings_days) if days is not None]
        if kept_days:
            before = self._clock.now() - min(kept_days) * DAY_S
            if count := await asyncio.to_thread(forget_older, self._folder, before):
                log.info("old recordings were deleted", count=count)

    async def _delete_calls(self, ended_before: float) -> None:
        while gone := await self._store.expire(ended_before, limit=AT_ONCE):
            for key in gone:
                await asyncio.to_thread(forget, self._folder, key)
            log.info("old calls were deleted", count=len(gone))
            if len(gone) < AT_ONCE:
                return
            await self._clock.sleep(BREATH_S)

    async def delete_ownerless(self) -> None:
        """Recordings whose call is gone: deleted through another server, or by one that stopped half-way.

        Raises StoreError, SpoolError.
        """
        after = ""
        while found := await asyncio.to_thread(owners, self._folder, after=after, limit=AT_ONCE):
            for name, header in found:
                after = name
                if header is not None and not await self._store.knows(header.key):
                    await asyncio.to_thread(forget, self._folder, header.key)
                    log.info("a recording of a deleted call was deleted", file=name)
            await self._clock.sleep(BREATH_S)

    async def scrub(self) -> None:
        """Overwrite what deleting left behind. Raises StoreError."""
        while await self._store.scrub():
            await self._clock.sleep(BREATH_S)
