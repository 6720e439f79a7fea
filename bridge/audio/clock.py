"""What a carrier's timestamps mean as positions: one clock a stream, shared by its legs."""

from __future__ import annotations

from typing import Final

from bridge.model.frame import SAMPLE_RATE, from_ms

JUMP: Final = 60 * SAMPLE_RATE
"""A timestamp further off than this has not been silence: the carrier's clock has jumped."""
LATEST_MS: Final = 1e15
"""Beyond this (or not a number at all) is no time: Unix time in milliseconds is a thousandth of it."""


class StreamClock:
    """Timestamps in milliseconds → positions at 16 kHz since the stream's start.

    Legs share it, so that a leg that begins or speaks again after minutes is known by the other's time to be late, and
    not by a jump of the clock; and so that a clock that does jump (or starts at the Unix epoch) moves both alike.
    """

    def __init__(self, begins_at: int = 0) -> None:
        """`begins_at` is the position of the stream's start: 0, or further on where a line came back."""
        self._origin = -begins_at
        self._latest = begins_at

    def place(self, timestamp_ms: float | None) -> int | None:
        """Where a time lies that is over. None if the carrier does not say."""
        if timestamp_ms is None or not abs(timestamp_ms) < LATEST_MS:
            return None
        return from_ms(timestamp_ms) - self._origin

    def position(self, timestamp_ms: float | None, due: int) -> int | None:
        """Where the carrier says that a sample belongs, while by count it belongs at `due`. None if it does not say."""
        if (said := self.place(timestamp_ms)) is None:
            return None
        reference = max(due, self._latest)
        if not due - JUMP <= said <= reference + JUMP:
            self._origin += said - reference
            said = reference
        self._latest = max(self._latest, said)
        return said
