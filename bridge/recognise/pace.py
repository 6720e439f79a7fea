"""How much a leg asks of the engine, given how busy the engine is. Pressure is 0 idle … 1 full."""

from __future__ import annotations

from typing import Final

from bridge.model.frame import SAMPLE_RATE
from bridge.recognise.window import BRISK_BUCKETS_S, LONGEST_S, TAIL_S, window_s

PARTIAL_S: Final = 0.9
SLOWEST_PARTIAL_S: Final = 4.0
STRETCH_FROM: Final = 0.45
STOP_FROM: Final = 0.68

AMPLE_WINDOW_S: Final = 16
"""A final's window, earlier speech included, while there is room: decoded within the rest of the hang-over."""

BUSY_FROM: Final = 0.3


def partial_interval_s(pressure: float) -> float | None:
    """Seconds of new speech between two partials of a leg; None: no partials now."""
    if pressure >= STOP_FROM:
        return None
    stretch = max(0.0, pressure - STRETCH_FROM) / (STOP_FROM - STRETCH_FROM)
    return PARTIAL_S + stretch * (SLOWEST_PARTIAL_S - PARTIAL_S)


def is_busy(pressure: float) -> bool:
    """Whether finals do with less context and smaller windows, so that all of them stay in time."""
    return pressure >= BUSY_FROM


def context_room(samples: int, *, busy: bool) -> int:
    """Samples of earlier speech that a final of `samples` may carry.

    While the engine is busy, only what fits the window that the speech needs anyway; that costs next to nothing.
    """
    window = window_s(samples, BRISK_BUCKETS_S) if busy else max(window_s(samples), AMPLE_WINDOW_S)
    return max(0, round(min(window - TAIL_S, LONGEST_S) * SAMPLE_RATE) - samples)
