"""How much a leg asks of the engine, given how busy the engine is. Pressure is 0 idle … 1 full."""

from __future__ import annotations

from typing import Final

from bridge.model.frame import SAMPLE_RATE
from bridge.recognise.window import BRISK_BUCKETS_S, BUCKETS_S, LONGEST_S, TAIL_S, window_s

PARTIAL_S: Final = 0.8
SLOWEST_PARTIAL_S: Final = 4.0
STRETCH_FROM: Final = 0.55
STOP_FROM: Final = 0.62

BUSY_FROM: Final = 0.3

LONGEST: Final = 20 * SAMPLE_RATE
BRISK_LONGEST: Final = 12 * SAMPLE_RATE


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
    """Samples of earlier speech that a final of `samples` may carry: what fits the window that it needs anyway. More
    would keep it waiting beyond the hang-over, and did not make it better.
    """
    window = window_s(samples, BRISK_BUCKETS_S if busy else BUCKETS_S)
    return max(0, round(min(window - TAIL_S, LONGEST_S) * SAMPLE_RATE) - samples)


def longest(pressure: float) -> int:
    """Samples at which an utterance that goes on is cut: what is left of it at its end must be decoded in time."""
    return BRISK_LONGEST if is_busy(pressure) else LONGEST
