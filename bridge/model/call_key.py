"""What names a call."""

from __future__ import annotations

from typing import NamedTuple


class CallKey(NamedTuple):
    """An id is its tenant's own: callers may choose theirs, and another tenant's call may have the same."""

    tenant: str
    call_id: str
