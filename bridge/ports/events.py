"""Where a call's events go, and how subscribers read them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from bridge.model.call_key import CallKey
from bridge.model.events import Body, Event


class EventSink(Protocol):
    """Where a call's events go: kept first, then shown."""

    def open(self, key: CallKey, *, last_seq: int = 0) -> None:
        """A call begins (or goes on after `last_seq`). Raises ConflictError when it is open already."""
        ...

    async def publish(self, key: CallKey, body: Body) -> None:
        """Stamp, keep, show. Returns when the event is durable; for partials at once, and the store may
        never see one that a newer partial of the same segment has overtaken.

        Raises NotFoundError for a call that is not open, ConflictError when another call has taken its id: then it
        is not open any more.
        """
        ...

    async def settled(self, key: CallKey) -> None:
        """The text of an ended call stands: its held deliveries may go out. Closes the call."""
        ...


class EventBoard(Protocol):
    """Where events go once they are kept, for subscribers to find: in this process, or a stream that all nodes read."""

    async def show(self, events: Sequence[Event]) -> None:
        """Durable events, each call's in order of `seq`. Never raises: live views may suffer, calls may not."""
        ...

    async def finish(self, key: CallKey) -> None:
        """The call has ended and is settled: no event of it will follow."""
        ...


class EventFeed(Protocol):
    """Events as subscribers read them."""

    def call(self, tenant: str, call_id: str, *, after: int = 0, coming: bool = False) -> AsyncGenerator[Event, None]:
        """Every event of one call behind `seq` `after`, in order, none missing or twice; ends when the call is settled.

        `coming`: it is about to begin in this process, and is waited for. Raises NotFoundError when the tenant has no
        such call.
        """
        ...

    def tenant(self, tenant: str) -> AsyncGenerator[Event, None]:
        """Events of all the tenant's calls from now on. Never ends."""
        ...
