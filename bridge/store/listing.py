"""A page of calls: filter and cursor to a query that an index answers, rows to a page."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select, tuple_
from sqlalchemy.sql.elements import ColumnElement

from bridge.errors import InvalidRequestError
from bridge.model.records import CallFilter
from bridge.ports import Page
from bridge.store.codec import Row, call_of
from bridge.store.numbers import first_number
from bridge.store.tables import calls
from bridge.store.terms import TermIndex, terms

BUMP_S = 0.002
"""How far a number may lie behind its call's start: it gave way to another call's."""


def query(tenant: str, wanted: CallFilter, *, cursor: str | None, limit: int, index: TermIndex) -> Select[Any]:
    """Up to `limit` rows and one more, which tells whether a page follows. `…_after` includes its instant,
    `…_before` does not. Raises InvalidRequestError for a cursor that is not ours.
    """
    found = select(calls).where(calls.c.tenant == tenant)
    if wanted.status is not None:
        found = found.where(calls.c.status == wanted.status)
    if wanted.carrier_call_id is not None:
        found = found.where(calls.c.carrier_call_id == wanted.carrier_call_id)
    number: ColumnElement[int] = calls.c.number
    if wanted.text is not None and (words := terms(wanted.text)):
        found = index.narrow(found, words)
        number = index.number
    if wanted.started_after is not None:
        found = found.where(number >= first_number(wanted.started_after))
        found = found.where(calls.c.started_at >= wanted.started_after)
    if wanted.started_before is not None:
        found = found.where(number < first_number(wanted.started_before + BUMP_S))
        found = found.where(calls.c.started_at < wanted.started_before)
    if wanted.ended_after is not None:
        found = found.where(calls.c.ended_at >= wanted.ended_after)
        if cursor is not None:
            found = found.where(tuple_(calls.c.ended_at, calls.c.number) < _read(cursor, float, int))
        return found.order_by(calls.c.ended_at.desc(), calls.c.number.desc()).limit(limit + 1)
    if cursor is not None:
        found = found.where(number < _read(cursor, int)[0])
    return found.order_by(number.desc()).limit(limit + 1)


def page(rows: Sequence[Row], wanted: CallFilter, *, limit: int) -> Page:
    """The page that `query` read."""
    cursor = None
    if len(rows) > limit:
        last = rows[limit - 1]
        place = [last["number"]] if wanted.ended_after is None else [last["ended_at"], last["number"]]
        cursor = base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")
    return Page(calls=tuple(call_of(row) for row in rows[:limit]), cursor=cursor)


def _read(cursor: str, *kinds: type[float]) -> tuple[Any, ...]:
    try:
        place = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError:
        place = None
    if not isinstance(place, list) or [type(value) for value in place] != list(kinds):
        raise InvalidRequestError("cursor: not one that this list gave", fields={"cursor": "unknown"})
    return tuple(place)
