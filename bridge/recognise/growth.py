"""How many replicas of the recogniser there should be: by how late decodes are, not by how many there are."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Final

GROW_LATE_S: Final = 0.2
"""Decodes this far behind their deadline: what there is does not keep up."""
GROW_PRESSURE: Final = 0.75
"""Before anything is late: a new replica takes a while to load its model."""
SHRINK_PRESSURE: Final = 0.35
MOST_AT_ONCE: Final = 2.0
"""Times as many as there are, at most, in one step."""


def lateness(replicas: Collection[float]) -> float:
    """Of all replicas, from each one's: what a quarter of them exceeds. Among many, one is always late by chance."""
    ordered = sorted(replicas)
    return ordered[min(len(ordered) * 3 // 4, len(ordered) - 1)] if ordered else 0.0


def replicas_wanted(current: int, late_s: float, pressure: float, *, least: int, most: int, coming: int = 0) -> int:
    """From `current` replicas that are `late_s` behind (`lateness`) and whose mean load is `pressure` (0 … 1), while
    others are `coming`.

    Lateness says how far off the mark things are, so that it decides the step; load alone adds or takes one. What is
    coming counts: nothing is asked for twice because it takes its time.
    """
    wanted = current
    if late_s >= GROW_LATE_S:
        wanted = math.ceil(current * min(MOST_AT_ONCE, 1.25 + late_s))
    elif pressure >= GROW_PRESSURE:
        wanted = math.ceil(current * pressure / GROW_PRESSURE) + (pressure >= 1.0)
        wanted = max(wanted, current + 1)
    elif pressure <= SHRINK_PRESSURE and current * pressure < (current - 1) * GROW_PRESSURE:
        wanted = current - 1
    return min(max(wanted, least, current + coming if coming else 0), most)
