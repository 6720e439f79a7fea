"""A carrier's line to one call: a media socket, and when that breaks off, the next one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from bridge.call import RECONNECTED
from bridge.model.stream import Discarded, StreamItem, StreamStarted, StreamStopped
from bridge.ports import Clock


class Line:
    """What a carrier says, however many sockets it takes.

    A socket that ends without a word leaves the line broken for `grace_s`. Another one that comes for the same
    carrier's call until then goes on in it: a `Discarded` for each leg names the gap, then a second `StreamStarted`
    begins the new stream.
    """

    def __init__(
        self, started: StreamStarted, items: AsyncIterator[StreamItem], *, tenant: str, clock: Clock, grace_s: float
    ) -> None:
        self._started = started
        self._first = items
        self.tenant = tenant
        self._clock = clock
        self._grace_s = grace_s
        self._next: asyncio.Future[tuple[StreamStarted, AsyncIterator[StreamItem]]] | None = None
        """Set while the line is broken."""

    @property
    def broken(self) -> bool:
        return self._next is not None and not self._next.done()

    def is_of(self, started: StreamStarted, tenant: str) -> bool:
        """Whether a stream that starts is this call's, come back. One whose carrier tells no id is nobody's."""
        ours = self._started
        return bool(ours.carrier_call_id) and (tenant, started.carrier, started.carrier_call_id, started.legs) == (
            self.tenant,
            ours.carrier,
            ours.carrier_call_id,
            ours.legs,
        )

    def mend(self, started: StreamStarted, items: AsyncIterator[StreamItem]) -> None:
        """The carrier has come back to a broken line."""
        if self._next is not None:
            self._next.set_result((started, items))

    async def items(self) -> AsyncIterator[StreamItem]:
        """Everything, the stop at the end included. Raises what the sockets' items raise."""
        items = self._first
        while True:
            stop = None
            async for item in items:
                if isinstance(item, StreamStopped) and item.broken and self._grace_s:
                    stop = item
                else:
                    yield item
            if stop is None:
                return
            broken_at = self._clock.monotonic()
            back = await self._come_back()
            if back is None:
                yield stop
                return
            started, items = back
            missing_ms = 1000 * (self._clock.monotonic() - broken_at)
            for leg in started.legs:
                yield Discarded(leg=leg, missing_ms=missing_ms, reason=RECONNECTED)
            yield started

    async def _come_back(self) -> tuple[StreamStarted, AsyncIterator[StreamItem]] | None:
        """None when nobody came within the grace."""
        self._next = asyncio.get_running_loop().create_future()
        limit = asyncio.create_task(self._clock.sleep(self._grace_s))
        first: set[asyncio.Future[Any]] = {self._next, limit}
        try:
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            return self._next.result() if self._next.done() else None
        finally:
            self._next.cancel()
            limit.cancel()
            with suppress(asyncio.CancelledError):
                await limit
