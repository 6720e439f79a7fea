"""One call's file, from the side of its call: what is said goes into memory, the spool's thread takes it from there."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from bridge.model.stream import StreamItem, StreamStarted
from bridge.spool.record import Header, item_to_bytes

MOST_HELD: Final = 2 * 1024 * 1024
"""Bytes that may wait for the disk: nearly two minutes of two legs. A disk that stalls for longer stops the tape; the
call goes on."""


class Keeper(Protocol):
    """What a tape asks of its spool."""

    def stop(self, tape: Tape, why: str) -> None: ...

    def end(self, tape: Tape, *, told: bool) -> None: ...


class Tape:
    """One call. Nothing here waits or raises. A tape that is neither finished nor discarded is the next start's."""

    def __init__(self, header: Header, started: StreamStarted, keeper: Keeper, *, stopped: Callable[[], None]) -> None:
        """`stopped` is called once, on the event loop, when the tape stops before its call does."""
        self._keeper = keeper
        self.header = header
        self.started = started
        self.stopped = stopped
        self.running = True
        """False once something was not kept: what follows would be a transcript with a hole."""
        self._held: deque[bytes] = deque()
        self._put = self._taken = 0
        """Bytes, each counted by one side alone: this one by the call, that one by the thread."""

    def write(self, item: StreamItem) -> None:
        """Keep what the carrier said, unless the tape has stopped."""
        if not self.running:
            return
        data = item_to_bytes(item)
        if self._put - self._taken + len(data) > MOST_HELD:
            self._keeper.stop(self, "the disk does not keep up")
            return
        self._put += len(data)
        self._held.append(data)

    def finish(self) -> None:
        """The call is told and settled: its file goes, or is kept for good."""
        self._keeper.end(self, told=True)

    def discard(self) -> None:
        """There was no such call after all."""
        self._keeper.end(self, told=False)

    def take(self) -> bytes:
        """What waits, in order, as a block's payload. For the spool's thread alone."""
        next_one = self._held.popleft
        payload = b"".join([next_one() for _ in range(len(self._held))])
        self._taken += len(payload)
        return payload
