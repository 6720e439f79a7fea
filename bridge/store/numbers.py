"""A call's number: one integer that sorts by when the call started."""

from __future__ import annotations

import hashlib
from typing import Final

from bridge.model.call_key import CallKey

TIE_BITS: Final = 20
"""Room for calls that start in one millisecond; 2⁶³ is then reached in the year 2248."""

LAST: Final = 2**63 - 1
"""What a column holds."""


def call_number(key: CallKey, started_at: float) -> int:
    """The number a call should have. Two calls may want the same one; the second takes the next that is free."""
    tie = int.from_bytes(hashlib.sha256("\n".join(key).encode("utf-8", "surrogatepass")).digest()[:3]) >> (
        24 - TIE_BITS
    )
    return first_number(started_at) | tie


def first_number(started_at: float) -> int:
    """The smallest number of a call that started in this millisecond, or the last of all numbers."""
    return min(max(0, int(started_at * 1000)) << TIE_BITS, LAST)
