"""Numbers that callers may choose, kept within limits."""

from __future__ import annotations

import math


def within(given: str | None, least: float, most: float) -> float | None:
    """The number, moved to the nearer limit; None for what is no number."""
    try:
        number = float(given or "")
    except ValueError:
        return None
    return min(max(number, least), most) if math.isfinite(number) else None
