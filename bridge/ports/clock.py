"""Time."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Time, injected: the machine's, or a test's that moves when told."""

    def now(self) -> float:
        """Unix seconds, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...

    async def sleep(self, seconds: float) -> None: ...
