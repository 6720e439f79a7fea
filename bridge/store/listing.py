"""A page of calls: filter and cursor to queries that an index answers, rows to a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.sql.elements import ColumnElement

from bridge.model.records import CallFilter
from bridge.ports import Page
from bridge.store.codec import Row, call_of
from bridge.store.cursor import from_cursor, to_cursor
from bridge.store.numbers import first_number
from bridge.store.tables import calls
from bridge.store.terms import TermIndex, terms

BUMP_S = 0.002
"""How far a number may lie behind its call's start: it gave way to another call's."""


def queries(
    tenant: str, wanted: CallFilter, *, cursor: str | None, limit: int, index: TermIndex
) -> Sequence[Select[Any]]:
    """Up to `limit` rows and one more, which tells whether a page follows. To be asked in turn, until one answers with
    that many. `…_after` includes its instant, `…_before` does not.

    Raises InvalidRequestError for a cursor that is not ours.
    """
    words = terms(wanted.text or "")
    number = index.number if words else calls.c.number
    found = _narrowed(select(calls), tenant, wanted, number)
    order: list[ColumnElement[Any]] = [number]
    if wanted.ended_after is not None:
        order = [calls.c.ended_at, calls.c.number]
    if cursor is not None:
        found = found.where(tuple_(*order) < from_cursor(cursor, [float, int][-len(order) :]))
    if words:
        return index.searches(found, words, order, limit + 1)
    return [found.order_by(*(column.desc() for column in order)).limit(limit + 1)]


def numbered(tenant: str, wanted: CallFilter, *, skip: int, limit: int) -> tuple[Select[Any], Select[Any]]:
    """`limit` rows behind the `skip` newest, and how many there are in all."""
    found = _narrowed(select(calls), tenant, wanted, calls.c.number)
    count = _narrowed(select(func.count()).select_from(calls), tenant, wanted, calls.c.number)
    return found.order_by(calls.c.number.desc()).offset(skip).limit(limit), count


def _narrowed(found: Select[Any], tenant: str, wanted: CallFilter, number: ColumnElement[int]) -> Select[Any]:
    """`found` of the calls that are `wanted`, words aside; `number` is read from where it costs least."""
    found = found.where(calls.c.tenant == tenant)
    if wanted.status is not None:
        found = found.where(calls.c.status == wanted.status)
    if wanted.carrier_call_id is not None:
        found = found.where(calls.c.carrier_call_id == wanted.carrier_call_id)
    if wanted.carrier is not None:
        found = found.where(calls.c.carrier == wanted.carrier)
    if wanted.started_after is not None:
        found = found.where(number >= first_number(wanted.started_after))
        found = found.where(calls.c.started_at >= wanted.started_after)
    if wanted.started_before is not None:
        found = found.where(number < first_number(wanted.started_before + BUMP_S))
        found = found.where(calls.c.started_at < wanted.started_before)
    if wanted.ended_after is not None:
        found = found.where(calls.c.ended_at >= wanted.ended_after)
    return found


def page(rows: Sequence[Row], wanted: CallFilter, *, limit: int) -> Page:
    """The page that one of `queries` read."""
    cursor = None
    if len(rows) > limit:
        last = rows[limit - 1]
        place = [last["number"]] if wanted.ended_after is None else [last["ended_at"], last["number"]]
        cursor = to_cursor(place)
    return Page(calls=tuple(call_of(row) for row in rows[:limit]), cursor=cursor)
