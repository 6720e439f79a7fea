"""What tapes hold, as the spool writes it."""

from __future__ import annotations

from collections.abc import Iterable

from bridge.model.stream import StreamItem
from bridge.spool.record import item_to_bytes


def payload_of(items: Iterable[StreamItem]) -> bytes:
    """A block's payload."""
    return b"".join(map(item_to_bytes, items))
