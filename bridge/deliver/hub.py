"""Events as subscribers read them: recent ones from memory, older ones from the store.

Nothing is sent to anybody. Each subscriber keeps its own place and reads on from there when it can, so however many
there are and however slow, a call is not held up and nothing piles up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Final

from bridge.errors import SlowReaderError
from bridge.model.call_key import CallKey
from bridge.model.events import Event
from bridge.ports import CallStore
from bridge.pulse import Pulse

RECENT_OF_CALL: Final = 128
"""Events of a live call in memory; who is further behind reads the store."""
RECENT_OF_TENANT: Final = 2_048
"""Events of a watched tenant in memory; who is further behind is told so."""
PAGE: Final = 200
"""Events read from the store at once."""


class _Recent:
    """The newest events in a row, each with a place that counts up by one."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._events: list[Event] = []
        self._first = 1
        """The place of the oldest event here."""
        self.news = Pulse()
        self.watched = 0

    @property
    def last(self) -> int:
        return self._first + len(self._events) - 1

    def put(self, place: int, event: Event) -> None:
        if place != self.last + 1:  # a call that goes on after a restart: what came before is in the store
            self._events.clear()
            self._first = place
        self._events.append(event)
        if len(self._events) >= 2 * self._kept:  # in large bites, so that each costs little
            self._first += self._kept
            del self._events[: self._kept]

    def skip(self) -> None:
        """Leave one place empty: whoever reads here is behind now."""
        self._first = self.last + 2
        self._events.clear()

    def behind(self, place: int) -> Sequence[Event] | None:
        """Up to a page of events after `place`; None when the next one is not here any more."""
        start = place + 1 - self._first
        return self._events[start : start + PAGE] if start >= 0 else None


class _LiveCall(_Recent):
    """A call that goes on, or that somebody waits for."""

    def __init__(self) -> None:
        super().__init__(RECENT_OF_CALL)
        self.own = False
        """Whether the journal of this process tells its events."""
        self.live = False
        """Whether its events come here as they happen; otherwise the store is asked."""
        self.finished = False
        self.looks: dict[int, _Looking] = {}
        """By `seq`: who asks the store for what follows it, for all who want that now."""

    def show(self, event: Event) -> None:
        """What is here already changes nothing."""
        if not self.live or event.seq > self.last:
            self.live = True
            self.put(event.seq, event)


@dataclass(frozen=True, slots=True)
class _Look:
    """What the store had of a call, asked after `news` and `finished` were taken."""

    news: asyncio.Event
    finished: bool
    settled: bool
    events: Sequence[Event]


@dataclass(slots=True)
class _Looking:
    """A look that is under way, for as long as somebody waits for it."""

    task: asyncio.Task[_Look]
    readers: int = 0


class Hub:
    """The `EventBoard` and `EventFeed` ports, for one process; events of other processes may be passed on to it."""

    def __init__(self, store: CallStore) -> None:
        self._store = store
        self._calls: dict[CallKey, _LiveCall] = {}
        self._tenants: dict[str, _Recent] = {}

    async def show(self, events: Sequence[Event]) -> None:
        told: set[_Recent] = set()
        for event in events:
            call = self._calls.setdefault(event.key, _LiveCall())
            call.own = True
            call.show(event)
            told.add(call)
            if (tenant := self._tenants.get(event.tenant)) is not None:
                tenant.put(tenant.last + 1, event)
                told.add(tenant)
        for recent in told:
            recent.news.send()

    async def finish(self, key: CallKey) -> None:
        self.over(key)

    def over(self, key: CallKey) -> None:
        """No event of this call will follow, whoever told it."""
        if (call := self._calls.pop(key, None)) is not None:
            call.finished = True
            call.news.send()

    # -- what other processes tell ---------------------------------------------------------------------------------

    def is_own(self, key: CallKey) -> bool:
        """Whether this process tells the call."""
        return (call := self._calls.get(key)) is not None and call.own

    def pass_on(self, event: Event) -> None:
        """An event of a call that another process tells, for those who wait for it here."""
        if (call := self._calls.get(event.key)) is not None and not call.own:
            call.show(event)
            call.news.send()

    def pass_on_to_tenant(self, event: Event) -> None:
        """The same for those who read all of the tenant's calls."""
        if (tenant := self._tenants.get(event.tenant)) is not None:
            tenant.put(tenant.last + 1, event)
            tenant.news.send()

    def miss(self, tenant: str) -> None:
        """Events of the tenant went by unheard: its readers are to know."""
        if (recent := self._tenants.get(tenant)) is not None:
            recent.skip()
            recent.news.send()

    def doubt(self, key: CallKey) -> None:
        """Events of this call may have gone by unheard: the store is asked."""
        if (call := self._calls.get(key)) is not None and not call.own:
            call.live = False
            call.news.send()

    # -- reading ---------------------------------------------------------------------------------------------------

    async def call(
        self, tenant: str, call_id: str, *, after: int = 0, coming: bool = False
    ) -> AsyncGenerator[Event, None]:
        """The `EventFeed` port. Raises StoreError when older events cannot be read; resume at the last `seq`."""
        key = CallKey(tenant, call_id)
        recent = self._calls.setdefault(key, _LiveCall())  # before the store is asked: its end is not missed then
        recent.watched += 1
        try:
            if coming:
                await self._begun(recent, tenant, call_id)
            settled = False
            while True:
                finished, news = recent.finished, recent.news.next()
                events = recent.behind(after) if recent.live and not settled else None
                if events is None:
                    look = await self._look(recent, key, after)
                    finished, news, settled, events = look.finished, look.news, look.settled, look.events
                for event in events:
                    after = event.seq
                    yield event
                if events:
                    continue
                if finished or settled:
                    return
                await news.wait()
        finally:
            recent.watched -= 1
            if not recent.watched and not recent.own and self._calls.get(key) is recent:
                del self._calls[key]

    async def _look(self, recent: _LiveCall, key: CallKey, after: int) -> _Look:
        """However many readers of a call lose touch at once, the store is asked once."""
        looking = recent.looks.get(after)
        if looking is None:
            looking = recent.looks[after] = _Looking(asyncio.create_task(self._ask(recent, key, after)))
        looking.readers += 1
        try:
            return await asyncio.shield(looking.task)  # one reader that leaves does not end it for the others
        finally:
            looking.readers -= 1
            if recent.looks.get(after) is looking and (looking.task.done() or not looking.readers):
                del recent.looks[after]
                looking.task.cancel()

    async def _ask(self, recent: _LiveCall, key: CallKey, after: int) -> _Look:
        news, finished = recent.news.next(), recent.finished
        settled = (await self._store.call(key.tenant, key.call_id)).settled
        return _Look(
            news, finished, settled, await self._store.events(key.tenant, key.call_id, after=after, limit=PAGE)
        )

    async def _begun(self, recent: _LiveCall, tenant: str, call_id: str) -> None:
        while True:
            news = recent.news.next()
            if recent.live or await self._store.knows(CallKey(tenant, call_id)):
                return
            await news.wait()

    async def tenant(self, tenant: str) -> AsyncGenerator[Event, None]:
        """The `EventFeed` port. Raises SlowReaderError when events went by unread; each call can still be resumed."""
        recent = self._tenants.setdefault(tenant, _Recent(RECENT_OF_TENANT))
        recent.watched += 1
        after = recent.last
        try:
            while True:
                news = recent.news.next()
                events = recent.behind(after)
                if events is None:
                    raise SlowReaderError("too far behind the tenant's events")
                for event in events:
                    after += 1
                    yield event
                if not events:
                    await news.wait()
        finally:
            recent.watched -= 1
            if not recent.watched:
                self._tenants.pop(tenant, None)
