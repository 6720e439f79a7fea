"""Those who read one call and have seen all that was told of it: what comes next is read once, and written to all of
them in one go, with what was told since in the same write. To wake each reader for each event costs a node more than
the writing.

Who has something to catch up with, or takes its time, reads by itself meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from bridge.model.call_key import CallKey
from bridge.model.events import Event
from bridge.ports import EventFeed
from bridge.web.subscribers import Form, Subscriber

AT_A_STRETCH: Final = 8
"""Readers that are written to before the loop may do other things, such as keeping the next event: some 0.3 ms."""


@dataclass(slots=True, eq=False)
class Reader:
    """A subscriber, and the `seq` of the last event that it was sent."""

    subscriber: Subscriber
    patience_s: float
    """How long it may take to accept one event."""
    seen: int = 0

    async def take(self, event: Event) -> None:
        """At its own pace. Raises ConnectionError when it has gone, TimeoutError when it is too slow."""
        written = event.written(self.subscriber.form)
        if self.subscriber.has_room(written):
            await self.subscriber.write(written)
        else:
            async with asyncio.timeout(self.patience_s):
                await self.subscriber.send(event)
        self.seen = event.seq


class Audiences:
    """Of each call that is read at this node."""

    def __init__(self, feed: EventFeed) -> None:
        self._feed = feed
        self._of: dict[CallKey, _Audience] = {}

    async def follow(self, key: CallKey, reader: Reader, last: int) -> None:
        """Send `reader` all that comes behind what it has seen, until the call is settled. `last`: the call's newest
        `seq`, as far as is known. Raises what `EventFeed.call` and `Reader.take` raise.
        """
        while reader.seen < self._told(key, last) or not await self._join(key, reader, last):
            last = max(last, reader.seen + 1)  # who had no room for the next event waits for it alone
            async with aclosing(self._feed.call(key.tenant, key.call_id, after=reader.seen)) as events:
                async for event in events:
                    await reader.take(event)
                    if reader.seen >= self._told(key, last):
                        break
                else:
                    return

    def _told(self, key: CallKey, last: int) -> int:
        audience = self._of.get(key)
        return last if audience is None else max(last, audience.told)

    async def _join(self, key: CallKey, reader: Reader, last: int) -> bool:
        """Returns when the call is settled, or (False) there was no room for an event."""
        audience = self._of.get(key)
        if audience is None or audience.is_over:
            audience = self._of[key] = _Audience(self._feed, key, min(reader.seen, last))
        try:
            return await audience.hear(reader)
        finally:
            if audience.is_empty:
                audience.close()
                if self._of.get(key) is audience:
                    del self._of[key]


class _Audience:
    """Tells what comes behind the call's event `told`, until it is closed."""

    def __init__(self, feed: EventFeed, key: CallKey, told: int) -> None:
        self.told = told
        """The `seq` of the newest event that was written, or that is being written."""
        self.is_over = False
        self._seats: dict[Reader, asyncio.Future[bool]] = {}
        self._row: deque[Event] = deque()
        """Up to `told`: what not all have been written yet."""
        self._joined: dict[tuple[Form, int], bytes] = {}
        """By form, and by what was seen before: the rest of the row."""
        self._news = asyncio.Event()
        self._fault: Exception | None = None
        self._tasks = [asyncio.create_task(self._read(feed, key)), asyncio.create_task(self._write())]

    @property
    def is_empty(self) -> bool:
        return not self._seats

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def hear(self, reader: Reader) -> bool:
        """As `Audiences._join`. Raises ConnectionError, and what `EventFeed.call` raises."""
        seat: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._seats[reader] = seat
        try:
            return await seat
        finally:
            del self._seats[reader]

    async def _read(self, feed: EventFeed, key: CallKey) -> None:
        try:
            async with aclosing(feed.call(key.tenant, key.call_id, after=self.told)) as events:
                async for event in events:
                    self._row.append(event)
                    self._joined.clear()
                    self.told = event.seq
                    self._news.set()
        except Exception as error:  # noqa: BLE001  # each reader's own to judge
            self._fault = error
        self.is_over = True
        self._news.set()

    async def _write(self) -> None:
        try:
            while self._row or not self.is_over:
                await self._news.wait()
                self._news.clear()
                await self._bring_all_up_to_date()
        except Exception as error:  # noqa: BLE001  # the same
            self.is_over, self._fault = True, error
        for seat in self._seats.values():
            _settle(seat, self._fault or True)

    async def _bring_all_up_to_date(self) -> None:
        told = self.told
        for number, (reader, seat) in enumerate(list(self._seats.items()), 1):
            if reader.seen < self.told and not seat.done():
                await self._bring_up_to_date(reader, seat)
            if not number % AT_A_STRETCH:
                await asyncio.sleep(0)
        while self._row and self._row[0].seq <= told:  # who joins has seen what was told by then
            self._row.popleft()

    async def _bring_up_to_date(self, reader: Reader, seat: asyncio.Future[bool]) -> None:
        form, told = reader.subscriber.form, self.told
        written = self._joined.get((form, reader.seen))
        if written is None:
            written = b"".join(event.written(form) for event in self._row if event.seq > reader.seen)
            self._joined[form, reader.seen] = written
        if not reader.subscriber.has_room(written):
            _settle(seat, False)
            return
        try:
            await reader.subscriber.write(written)
        except ConnectionError as error:
            _settle(seat, error)
        reader.seen = told


def _settle(seat: asyncio.Future[bool], outcome: bool | Exception) -> None:
    if seat.done():  # its reader has left
        return
    if isinstance(outcome, Exception):
        seat.set_exception(outcome)
    else:
        seat.set_result(outcome)


AUDIENCES: web.AppKey[Audiences] = web.AppKey("audiences", Audiences)
