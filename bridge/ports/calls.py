"""Where calls and recordings are taken in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from bridge.model.call_key import CallKey
from bridge.model.frame import Samples
from bridge.model.recordings import Job, Order
from bridge.model.stream import StreamItem, StreamStarted


class Upload(Protocol):
    """A file that is coming in, on the disk and not in memory."""

    @property
    def size(self) -> int:
        """Bytes so far."""
        ...

    async def write(self, data: bytes) -> None:
        """Raises TooLargeError, SpoolError."""
        ...

    async def place(self, data: bytes, at: int) -> None:
        """`data` at a byte of its own, for files that come in pieces side by side. Raises TooLargeError, SpoolError."""
        ...

    def discard(self) -> None:
        """It is not wanted after all. Once submitted, it is not ours to discard: nothing happens."""
        ...


class Transcriber(Protocol):
    """Where recordings are put into words, behind live calls. Each becomes a call of carrier `recording`."""

    def check_room(self, tenant: str) -> None:
        """Raises CapacityError when too many wait, TooManyRequestsError when too many of one tenant's do."""
        ...

    def receive(self, tenant: str) -> Upload:
        """Raises CapacityError, TooManyRequestsError, SpoolError."""
        ...

    async def submit(self, order: Order, upload: Upload | None) -> Job:
        """Returns once the order outlives this process. Without an upload, `order.url` is fetched later.

        Raises InvalidRequestError (no recording), ConflictError (there is such a call), and as `check_room` does.
        """
        ...

    async def job(self, tenant: str, call_id: str) -> Job:
        """Raises NotFoundError."""
        ...

    def waiting(self, tenant: str) -> Sequence[Order]:
        """Orders here that are no call yet, newest first."""
        ...

    async def finished(self, tenant: str, call_id: str) -> None:
        """Returns when the order has ended, one way or the other: at once if it has."""
        ...

    async def cancel(self, tenant: str, call_id: str) -> None:
        """End an order that has not ended: its call fails as `cancelled`. Raises NotFoundError, ConflictError."""
        ...


class CallTaker(Protocol):
    """Where a media socket takes a call that a carrier has started."""

    def check_room(self, tenant: str | None = None) -> None:
        """Raises CapacityError (with `details["retry_after"]`) when another call would hurt those in progress, or the
        tenant, if that is known yet, has as many as it may.
        """
        ...

    async def take(self, started: StreamStarted, items: AsyncIterator[StreamItem], *, tenant: str) -> None:
        """Run one call to its end; returns when it has ended and its end is durable.

        `items` running out is the hang-up; a CarrierError raised by it ends the call with that error's code, and
        what was heard before stays. Cancelling (a dropped socket, a shutdown) ends the call as an ordinary hang-up.
        Raises CapacityError or ConflictError (the chosen call_id exists) before reading anything.
        """
        ...

    def play(self, key: CallKey, samples: Samples) -> None:
        """What a call's caller is played from now on, if it is in progress: its echo is nobody's turn."""
        ...

    def active(self) -> int:
        """Calls in progress."""
        ...
