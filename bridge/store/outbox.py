"""Webhook deliveries, from due to done."""

from __future__ import annotations

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Select, bindparam, exists, func, select, text, tuple_, union_all, update

from bridge.errors import NotFoundError
from bridge.model.call_key import CallKey
from bridge.model.records import Attempt, Delivery, DeliveryFilter, DeliveryStatus, Endpoint
from bridge.ports import DeliveryPage
from bridge.store import codec, tables
from bridge.store.cursor import from_cursor, to_cursor
from bridge.store.part import Part
from bridge.store.payloads import ended_payload
from bridge.store.reading import own_call, own_endpoint, transcripts
from bridge.store.shares import shares

MOST_ENDPOINTS: Final = 100
"""Asked for their due deliveries in one claim; SQLite joins at most 500 queries into one."""

_OPEN: Final = text(tables.OPEN)
_delivery: Final = tables.deliveries.c


class SqlOutbox(Part):
    """The `Outbox` port."""

    _turn: str = ""
    """The endpoint that was served last; the next claim begins behind it."""

    async def claim(
        self, now: float, *, lease_s: float, limit: int, each: int, room: Mapping[str, int]
    ) -> Sequence[tuple[Delivery, Endpoint]]:
        def work(connection: Connection) -> tuple[list[codec.Row], dict[str, codec.Row]]:
            waiting = list(connection.execute(_waiting(now)).scalars())
            given = shares(
                waiting,
                behind=self._turn or secrets.token_hex(8),  # workers that start together begin at different places
                limit=min(limit, MOST_ENDPOINTS),
                room={endpoint_id: room.get(endpoint_id, each) for endpoint_id in waiting},
            )
            if not given:
                return [], {}
            self._turn = list(given)[-1]
            rows = _lease(connection, given, now, lease_s)
            asked = select(tables.endpoints).where(tables.endpoints.c.id.in_({row["endpoint_id"] for row in rows}))
            return rows, {row["id"]: row for row in connection.execute(asked).mappings()}

        rows, receivers = await self._db.write(work)
        endpoints = {endpoint_id: codec.endpoint_of(row, self._cipher) for endpoint_id, row in receivers.items()}
        return [(codec.delivery_of(row), endpoints[row["endpoint_id"]]) for row in rows]

    async def record(self, delivery_id: str, attempt: Attempt, *, next_due: float | None, delivered: bool) -> None:
        """Recorded twice counts once. A try that the delivery's count has overtaken (it was sent again by hand, or by
        another worker after its lease) is listed and changes nothing. A deleted delivery is ignored.
        """
        status = DeliveryStatus.PENDING
        if delivered or next_due is None:
            status = DeliveryStatus.DELIVERED if delivered else DeliveryStatus.EXHAUSTED
        changed: dict[str, Any] = {"tries": attempt.number, "status": status}
        if next_due is not None:
            changed["due_at"] = next_due

        def work(connection: Connection) -> None:
            mine = select(_delivery.id).where(_delivery.id == delivery_id).with_for_update()
            if connection.execute(mine).first() is None:
                return
            insert = self._db.insert(tables.attempts).on_conflict_do_nothing()
            connection.execute(insert, codec.attempt_row(attempt, delivery_id))
            connection.execute(
                update(tables.deliveries)
                .where(_delivery.id == delivery_id, _delivery.tries == attempt.number - 1, _OPEN)
                .values(changed)
            )

        await self._db.write(work)

    async def release(self, claimed: Sequence[Delivery], now: float) -> None:
        change = (
            update(tables.deliveries)
            .where(_delivery.id == bindparam("at"), _delivery.due_at == bindparam("lease"), _OPEN)
            .values(due_at=now)
        )
        leases = [{"at": delivery.id, "lease": delivery.due_at} for delivery in claimed]
        await self._db.write(lambda connection: connection.execute(change, leases))
        self._due.send()

    async def inherit(self, now: float) -> None:
        change = (
            update(tables.deliveries)
            .where(_delivery.status == DeliveryStatus.PENDING, _OPEN, _delivery.tries == 0, _delivery.due_at > now)
            .values(due_at=now)
        )
        await self._db.write(lambda connection: connection.execute(change))
        self._due.send()

    async def next_due(self) -> float | None:
        earliest = (
            select(func.min(_delivery.due_at))
            .where(_delivery.endpoint_id == tables.endpoints.c.id, _OPEN)
            .correlate(tables.endpoints)
            .scalar_subquery()
        )
        each = select(earliest.label("due_at")).where(tables.endpoints.c.enabled).subquery()
        query = select(func.min(each.c.due_at))
        due: float | None = await self._db.read(lambda connection: connection.execute(query).scalar())
        return due

    def changed(self) -> asyncio.Event:
        return self._due.next()

    def wanted(self) -> Collection[str]:
        wanted, self._wanted = self._wanted, set()
        return wanted

    async def deliveries(
        self, tenant: str, endpoint_id: str, wanted: DeliveryFilter, *, cursor: str | None = None, limit: int
    ) -> DeliveryPage:
        query = sent_to(tenant, endpoint_id, wanted, cursor=cursor, limit=limit)

        def work(connection: Connection) -> list[Delivery]:
            own_endpoint(connection, tenant, endpoint_id)
            return _with_attempts(connection, query)

        found = await self._db.read(work)
        last = found[limit - 1] if len(found) > limit else None
        return DeliveryPage(
            deliveries=tuple(found[:limit]), cursor=None if last is None else to_cursor([last.created_at, last.id])
        )

    async def redeliver(self, tenant: str, delivery_id: str, now: float) -> Delivery:
        mine = (_delivery.id == delivery_id, _delivery.tenant == tenant)

        def work(connection: Connection) -> list[Delivery]:
            change = update(tables.deliveries).where(*mine)
            connection.execute(change.values(due_at=now, tries=0))
            # One that is still held stays so: its payload is made when it is claimed.
            connection.execute(
                change.where(_delivery.status != DeliveryStatus.HELD).values(status=DeliveryStatus.PENDING)
            )
            return _with_attempts(connection, select(tables.deliveries).where(*mine))

        found = await self._db.write(work)
        if not found:
            raise NotFoundError(f"no delivery {delivery_id}")
        self._want(found[0].endpoint_id)
        return found[0]

    async def add(self, delivery: Delivery) -> None:
        insert = self._db.insert(tables.deliveries).on_conflict_do_nothing()
        await self._db.write(lambda connection: connection.execute(insert, codec.delivery_row(delivery)))
        self._want(delivery.endpoint_id)


def sent_to(tenant: str, endpoint_id: str, wanted: DeliveryFilter, *, cursor: str | None, limit: int) -> Select[Any]:
    """Up to `limit` deliveries, newest first, and one more, which tells whether a page follows.

    Raises InvalidRequestError for a cursor that is not ours.
    """
    order = (_delivery.created_at, _delivery.id)
    found = select(tables.deliveries).where(_delivery.endpoint_id == endpoint_id)
    if wanted.status is not None:
        found = found.where(_delivery.status == wanted.status)
    if wanted.call_id is not None:
        found = found.where(_delivery.tenant == tenant, _delivery.call_id == wanted.call_id)
    if cursor is not None:
        found = found.where(tuple_(*order) < from_cursor(cursor, [float, str]))
    return found.order_by(*(column.desc() for column in order)).limit(limit + 1)


def _waiting(now: float) -> Select[Any]:
    """Endpoints that may be sent something now, by id: one look into an index for each, however much is due."""
    due = exists().where(_delivery.endpoint_id == tables.endpoints.c.id, _OPEN, _delivery.due_at <= now)
    return select(tables.endpoints.c.id).where(tables.endpoints.c.enabled, due).order_by(tables.endpoints.c.id)


def _due(endpoint_id: str, count: int, now: float) -> Select[Any]:
    return (
        select(_delivery.id)
        .where(_delivery.endpoint_id == endpoint_id, _OPEN, _delivery.due_at <= now)
        .order_by(_delivery.due_at)
        .limit(count)
    )


def _lease(connection: Connection, given: Mapping[str, int], now: float, lease_s: float) -> list[codec.Row]:
    first = union_all(*(select(_due(endpoint_id, count, now).subquery()) for endpoint_id, count in given.items()))
    taken = connection.execute(
        select(tables.deliveries)
        .where(_delivery.id.in_(first), _OPEN, _delivery.due_at <= now)
        .order_by(_delivery.due_at)
        .with_for_update(skip_locked=True)
    )
    leased = {"status": DeliveryStatus.PENDING, "due_at": now + lease_s}
    rows: list[codec.Row] = []
    for row in taken.mappings():
        held = row["status"] == DeliveryStatus.HELD
        payload = _unsettled_payload(connection, CallKey(row["tenant"], row["call_id"])) if held else row["payload"]
        rows.append({**row, **leased, "payload": payload})
    if rows:
        connection.execute(
            update(tables.deliveries)
            .where(_delivery.id == bindparam("at"))
            .values(payload=bindparam("said"), **leased),
            [{"at": row["id"], "said": row["payload"]} for row in rows],
        )
    return rows


def _unsettled_payload(connection: Connection, key: CallKey) -> str:
    """A held delivery whose time is up says what is known now. From here on its payload stays."""
    row = own_call(connection, key.tenant, key.call_id)
    segments = transcripts(connection, [row["number"]])[row["number"]]
    return codec.dump(ended_payload(codec.call_of(row), segments))


def _with_attempts(connection: Connection, query: Select[Any]) -> list[Delivery]:
    rows = connection.execute(query).mappings().all()
    asked = (
        select(tables.attempts)
        .where(tables.attempts.c.delivery_id.in_([row["id"] for row in rows]))
        .order_by(tables.attempts.c.at, tables.attempts.c.number)
    )
    made: defaultdict[str, list[Attempt]] = defaultdict(list)
    for row in connection.execute(asked).mappings():
        made[row["delivery_id"]].append(codec.attempt_of(row))
    return [codec.delivery_of(row, tuple(made[row["id"]])) for row in rows]
