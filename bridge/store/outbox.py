"""Webhook deliveries, from due to done."""

from __future__ import annotations

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Select, bindparam, exists, func, select, text, union_all, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.errors import NotFoundError
from bridge.model.records import Attempt, Delivery, DeliveryStatus, Endpoint
from bridge.store import codec, tables
from bridge.store.part import Part, whole
from bridge.store.payloads import ended_payload
from bridge.store.reading import own_endpoint, transcripts
from bridge.store.shares import shares

MOST_ENDPOINTS: Final = 100
"""Asked for their due deliveries in one claim; SQLite joins at most 500 queries into one."""

_OPEN: Final = text(tables.OPEN)


class SqlOutbox(Part):
    """The `Outbox` port."""

    _turn: str = ""
    """The endpoint that was served last; the next claim begins behind it."""

    @whole
    async def claim(
        self, now: float, *, lease_s: float, limit: int, each: int, room: Mapping[str, int]
    ) -> Sequence[tuple[Delivery, Endpoint]]:
        async with self._db.write() as connection:
            waiting = list((await connection.execute(_waiting(now))).scalars())
            given = shares(
                waiting,
                behind=self._turn or secrets.token_hex(8),  # two workers that start together begin at different places
                limit=min(limit, MOST_ENDPOINTS),
                room={endpoint_id: room.get(endpoint_id, each) for endpoint_id in waiting},
            )
            if not given:
                return []
            self._turn = list(given)[-1]
            rows = await self._lease(connection, given, now, lease_s)
            receivers = await connection.execute(
                select(tables.endpoints).where(tables.endpoints.c.id.in_({row["endpoint_id"] for row in rows}))
            )
            by_id = {row["id"]: codec.endpoint_of(row, self._cipher) for row in receivers.mappings()}
            return [(codec.delivery_of(row), by_id[row["endpoint_id"]]) for row in rows]

    async def _lease(
        self, connection: AsyncConnection, given: Mapping[str, int], now: float, lease_s: float
    ) -> list[dict[str, Any]]:
        first = union_all(*(select(_due(endpoint_id, count, now).subquery()) for endpoint_id, count in given.items()))
        taken = await connection.execute(
            select(tables.deliveries)
            .where(tables.deliveries.c.id.in_(first), _OPEN, tables.deliveries.c.due_at <= now)
            .order_by(tables.deliveries.c.due_at)
            .with_for_update(skip_locked=True)
        )
        rows = [dict(row) for row in taken.mappings()]
        for row in rows:
            if row["status"] == DeliveryStatus.HELD:
                row["payload"] = await _unsettled_payload(connection, row["call_id"])
            row |= {"status": DeliveryStatus.PENDING, "due_at": now + lease_s}
        if rows:
            await connection.execute(
                update(tables.deliveries)
                .where(tables.deliveries.c.id == bindparam("at"))
                .values(payload=bindparam("said"), status=DeliveryStatus.PENDING, due_at=now + lease_s),
                [{"at": row["id"], "said": row["payload"]} for row in rows],
            )
        return rows

    @whole
    async def record(self, delivery_id: str, attempt: Attempt, *, next_due: float | None, delivered: bool) -> None:
        """Recorded twice counts once. A try that the delivery's count has overtaken (it was sent again by hand, or by
        another worker after its lease) is listed and changes nothing. A deleted delivery is ignored.
        """
        delivery = tables.deliveries
        status = DeliveryStatus.PENDING
        if delivered or next_due is None:
            status = DeliveryStatus.DELIVERED if delivered else DeliveryStatus.EXHAUSTED
        async with self._db.write() as connection:
            there = await connection.execute(
                select(delivery.c.due_at).where(delivery.c.id == delivery_id).with_for_update()
            )
            if there.first() is None:
                return
            await connection.execute(
                self._db.insert(tables.attempts).on_conflict_do_nothing(), codec.attempt_row(attempt, delivery_id)
            )
            changed: dict[str, Any] = {"tries": attempt.number, "status": status}
            if next_due is not None:
                changed["due_at"] = next_due
            await connection.execute(
                update(delivery)
                .where(delivery.c.id == delivery_id, delivery.c.tries == attempt.number - 1, _OPEN)
                .values(changed)
            )

    @whole
    async def release(self, claimed: Sequence[Delivery], now: float) -> None:
        async with self._db.write() as connection:
            await connection.execute(
                update(tables.deliveries)
                .where(
                    tables.deliveries.c.id == bindparam("at"), tables.deliveries.c.due_at == bindparam("lease"), _OPEN
                )
                .values(due_at=now),
                [{"at": delivery.id, "lease": delivery.due_at} for delivery in claimed],
            )
        self._due.send()

    @whole
    async def next_due(self) -> float | None:
        """Of endpoints that are enabled."""
        earliest = (
            select(func.min(tables.deliveries.c.due_at))
            .where(tables.deliveries.c.endpoint_id == tables.endpoints.c.id, _OPEN)
            .correlate(tables.endpoints)
            .scalar_subquery()
        )
        each = select(earliest.label("due_at")).where(tables.endpoints.c.enabled).subquery()
        async with self._db.read() as connection:
            due: float | None = (await connection.execute(select(func.min(each.c.due_at)))).scalar()
            return due

    def changed(self) -> asyncio.Event:
        return self._due.next()

    def wanted(self) -> Collection[str]:
        wanted, self._wanted = self._wanted, set()
        return wanted

    @whole
    async def deliveries(self, tenant: str, endpoint_id: str, *, limit: int) -> Sequence[Delivery]:
        async with self._db.read() as connection:
            await own_endpoint(connection, tenant, endpoint_id)
            query = (
                select(tables.deliveries)
                .where(tables.deliveries.c.endpoint_id == endpoint_id)
                .order_by(tables.deliveries.c.created_at.desc(), tables.deliveries.c.id)
                .limit(limit)
            )
            return await _with_attempts(connection, query)

    @whole
    async def redeliver(self, tenant: str, delivery_id: str, now: float) -> Delivery:
        mine = (tables.deliveries.c.id == delivery_id, tables.deliveries.c.tenant == tenant)
        async with self._db.write() as connection:
            # One that is still held stays so: its payload is made when it is claimed.
            status = func.replace(
                func.replace(tables.deliveries.c.status, "delivered", "pending"), "exhausted", "pending"
            )
            await connection.execute(update(tables.deliveries).where(*mine).values(status=status, due_at=now, tries=0))
            found = await _with_attempts(connection, select(tables.deliveries).where(*mine))
        if not found:
            raise NotFoundError(f"no delivery {delivery_id}")
        self._want(found[0].endpoint_id)
        return found[0]

    @whole
    async def add(self, delivery: Delivery) -> None:
        async with self._db.write() as connection:
            await connection.execute(
                self._db.insert(tables.deliveries).on_conflict_do_nothing(), codec.delivery_row(delivery)
            )
        self._want(delivery.endpoint_id)


def _waiting(now: float) -> Select[Any]:
    """Endpoints that may be sent something now, by id: one look into an index for each, however much is due."""
    due = exists().where(
        tables.deliveries.c.endpoint_id == tables.endpoints.c.id, _OPEN, tables.deliveries.c.due_at <= now
    )
    return select(tables.endpoints.c.id).where(tables.endpoints.c.enabled, due).order_by(tables.endpoints.c.id)


def _due(endpoint_id: str, count: int, now: float) -> Select[Any]:
    return (
        select(tables.deliveries.c.id)
        .where(tables.deliveries.c.endpoint_id == endpoint_id, _OPEN, tables.deliveries.c.due_at <= now)
        .order_by(tables.deliveries.c.due_at)
        .limit(count)
    )


async def _unsettled_payload(connection: AsyncConnection, call_id: str) -> str:
    """A held delivery whose time is up says what is known now. From here on its payload stays."""
    query = select(tables.calls).where(tables.calls.c.call_id == call_id)
    row = (await connection.execute(query)).mappings().one()
    segments = (await transcripts(connection, [row["number"]]))[row["number"]]
    return codec.dump(ended_payload(codec.call_of(row), segments))


async def _with_attempts(connection: AsyncConnection, query: Select[Any]) -> list[Delivery]:
    rows = (await connection.execute(query)).mappings().all()
    asked = (
        select(tables.attempts)
        .where(tables.attempts.c.delivery_id.in_([row["id"] for row in rows]))
        .order_by(tables.attempts.c.at, tables.attempts.c.number)
    )
    made: defaultdict[str, list[Attempt]] = defaultdict(list)
    for row in (await connection.execute(asked)).mappings():
        made[row["delivery_id"]].append(codec.attempt_of(row))
    return [codec.delivery_of(row, tuple(made[row["id"]])) for row in rows]
