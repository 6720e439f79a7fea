"""One call's file, from the side of its call: what is said goes into memory, the spool's thread takes it from there."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from bridge.model.stream import MediaChunk, StreamItem, StreamStarted
from bridge.spool.record import Header

MOST_HELD: Final = 2 * 1024 * 1024
"""Bytes that may wait for the disk: a minute of two legs, with what each item costs besides its audio. A disk that
stalls for longer stops the tape; the call goes on."""

ITEM_COSTS: Final = 100
"""Bytes that an item takes besides its payload."""


class Tape:
    """One call. `write` never waits and never raises; once the tape has stopped it does nothing."""

    def __init__(self, header: Header, started: StreamStarted, *, stopped: Callable[[], None]) -> None:
        """`stopped` is called once, on the event loop, when the tape stops before its call does."""
        self.header = header
        self.started = started
        self.stopped = stopped
        self.running = True
        """False once something was not kept: what follows would be a transcript with a hole."""
        self._held: deque[StreamItem] = deque()
        self._put = self._taken = 0
        """Bytes, each counted by one side alone: this one by the call, that one by the thread."""

    def write(self, item: StreamItem) -> bool:
        """Whether the item will be kept; False too when the tape has just become too full."""
        if not self.running:
            return False
        size = _size(item)
        if self._put - self._taken + size > MOST_HELD:
            return False
        self._put += size
        self._held.append(item)
        return True

    def take(self) -> list[StreamItem]:
        """What waits, in order. For the spool's thread alone."""
        items = [self._held.popleft() for _ in range(len(self._held))]
        self._taken += sum(map(_size, items))
        return items


def _size(item: StreamItem) -> int:
    return ITEM_COSTS + len(item.payload) if isinstance(item, MediaChunk) else 10 * ITEM_COSTS
