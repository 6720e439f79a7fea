"""Reads that more than one part of the store needs, inside a transaction of theirs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from sqlalchemy import Connection, select

from bridge.errors import NotFoundError
from bridge.model.words import Segment
from bridge.store import codec, tables


def own_call(connection: Connection, tenant: str, call_id: str) -> codec.Row:
    """Raises NotFoundError when the tenant has no such call."""
    query = select(tables.calls).where(tables.calls.c.call_id == call_id, tables.calls.c.tenant == tenant)
    row = (connection.execute(query)).mappings().one_or_none()
    if row is None:
        raise NotFoundError(f"no call {call_id}")
    return row


def own_endpoint(connection: Connection, tenant: str, endpoint_id: str) -> codec.Row:
    """Raises NotFoundError when the tenant has no such endpoint."""
    query = select(tables.endpoints).where(tables.endpoints.c.id == endpoint_id, tables.endpoints.c.tenant == tenant)
    row = (connection.execute(query)).mappings().one_or_none()
    if row is None:
        raise NotFoundError(f"no webhook endpoint {endpoint_id}")
    return row


def transcripts(connection: Connection, numbers: Collection[int]) -> dict[int, list[Segment]]:
    """By call number, each by start time; empty for a call that has none."""
    query = (
        select(tables.segments)
        .where(tables.segments.c.call.in_(numbers))
        .order_by(tables.segments.c.start_ms, tables.segments.c.leg, tables.segments.c.segment)
    )
    found: defaultdict[int, list[Segment]] = defaultdict(list)
    for row in (connection.execute(query)).mappings():
        found[row["call"]].append(codec.segment_of(row))
    return found
