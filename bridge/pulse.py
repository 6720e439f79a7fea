"""A wake-up call for any number of sleepers."""

from __future__ import annotations

import asyncio


class Pulse:
    """News without a list of who wants it: nothing is queued, nobody is counted, a slow listener holds up nobody.

    Take `next()` before looking, look, and wait on what was taken only when nothing was there: news that came in
    between is not missed.
    """

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def next(self) -> asyncio.Event:
        """Will be set by the next `send`."""
        return self._next

    def send(self) -> None:
        """Wake everybody who took `next()` before now."""
        sent, self._next = self._next, asyncio.Event()
        sent.set()
