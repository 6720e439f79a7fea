"""How much of the workers' time is in use."""

from __future__ import annotations

from typing import Final

from bridge.ports import Clock

LOAD_MEMORY_S: Final = 3.0
"""How far back the measured load looks."""


class Load:
    """The share of worker time in use over the last few seconds."""

    def __init__(self, clock: Clock, workers: int) -> None:
        self._clock = clock
        self._workers = workers
        self._busy = 0
        self._share = 0.0
        self._at = clock.monotonic()

    def began(self) -> None:
        self._catch_up()
        self._busy += 1

    def ended(self) -> None:
        self._catch_up()
        self._busy -= 1

    def share(self) -> float:
        self._catch_up()
        return self._share

    def _catch_up(self) -> None:
        now = self._clock.monotonic()
        fade = 0.5 ** ((now - self._at) / LOAD_MEMORY_S)
        self._share = self._share * fade + (self._busy / self._workers) * (1 - fade)
        self._at = now
