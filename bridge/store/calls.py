"""Calls: their events and transcripts, kept and read back."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection, delete, select, text, update

from bridge.errors import ConflictError
from bridge.model.call_key import CallKey
from bridge.model.events import Event
from bridge.model.records import CallFilter, CallRecord, CallStatus, Delivery, DeliveryStatus
from bridge.model.words import Segment
from bridge.ports import NumberedPage, Page
from bridge.store import codec, listing, tables
from bridge.store.appending import append, lock_calls
from bridge.store.database import Database
from bridge.store.nodes import SqlNodes
from bridge.store.numbers import first_number
from bridge.store.payloads import ended_payload
from bridge.store.reading import own_call, transcripts


class SqlCalls(SqlNodes):
    """The `CallStore` and `NodeStore` ports."""

    async def append(self, events: Sequence[Event]) -> None:
        """A repeated write is recognised by its events' ids and changes nothing. Raises ConflictError or NotFoundError
        when one event has no place; then none is kept.
        """
        if not events:
            return
        told = await self._db.write(lambda connection: append(self._db, connection, events, node=self._node))
        if told:
            self._due.send()

    async def settle(self, key: CallKey, now: float) -> None:
        """Again, or for a deleted call: changes nothing. Raises ConflictError while the call is in progress."""
        if await self._db.write(lambda connection: _settle(connection, key, now)):
            self._due.send()

    async def call(self, tenant: str, call_id: str) -> CallRecord:
        return await self._db.read(lambda connection: codec.call_of(own_call(connection, tenant, call_id)))

    async def knows(self, key: CallKey) -> bool:
        mine = (tables.calls.c.tenant == key.tenant, tables.calls.c.call_id == key.call_id)
        query = select(tables.calls.c.number).where(*mine)
        return await self._db.read(lambda connection: connection.execute(query).first() is not None)

    async def calls(self, tenant: str, wanted: CallFilter, *, cursor: str | None, limit: int) -> Page:
        """Newest start first; newest end first when `ended_after` asks what is new. Text is found in ended calls."""
        queries = listing.queries(tenant, wanted, cursor=cursor, limit=limit, index=self._db.terms)

        def work(connection: Connection) -> Sequence[codec.Row]:
            rows: Sequence[codec.Row] = ()
            for query in queries:
                rows = connection.execute(query).mappings().all()
                if len(rows) > limit:
                    break
            return rows

        return listing.page(await self._db.read(work), wanted, limit=limit)

    async def calls_behind(self, tenant: str, wanted: CallFilter, *, skip: int, limit: int) -> NumberedPage:
        found, count = listing.numbered(tenant, wanted, skip=skip, limit=limit)

        def work(connection: Connection) -> NumberedPage:
            rows = connection.execute(found).mappings().all()
            total: int = connection.execute(count).scalar_one()
            return NumberedPage(calls=tuple(codec.call_of(row) for row in rows), total=total)

        return await self._db.read(work)

    async def unfinished(self) -> Sequence[CallRecord]:
        """Oldest first."""
        query = select(tables.calls).where(text(tables.UNSETTLED), self._nobodys()).order_by(tables.calls.c.number)
        rows = await self._db.read(lambda connection: connection.execute(query).mappings().all())
        return [codec.call_of(row) for row in rows]

    async def segments(self, tenant: str, call_id: str) -> Sequence[Segment]:
        def work(connection: Connection) -> Sequence[Segment]:
            number = own_call(connection, tenant, call_id)["number"]
            return transcripts(connection, [number])[number]

        return await self._db.read(work)

    async def texts(self, tenant: str, call_ids: Collection[str]) -> Mapping[str, str]:
        said = tables.segments.c
        query = (
            select(tables.calls.c.call_id, said.text)
            .outerjoin(tables.segments, said.call == tables.calls.c.number)
            .where(tables.calls.c.call_id.in_(call_ids), tables.calls.c.tenant == tenant)
            .order_by(said.start_ms, said.leg, said.segment)
        )
        lines: defaultdict[str, list[str]] = defaultdict(list)
        for call_id, line in await self._db.read(lambda connection: connection.execute(query).all()):
            lines[call_id] += [] if line is None else [line]
        return {call_id: "\n".join(said) for call_id, said in lines.items()}

    async def events(self, tenant: str, call_id: str, *, after: int, limit: int) -> Sequence[Event]:
        def work(connection: Connection) -> Sequence[Event]:
            query = (
                select(tables.events)
                .where(
                    tables.events.c.call == own_call(connection, tenant, call_id)["number"],
                    tables.events.c.seq > after,
                )
                .order_by(tables.events.c.seq)
                .limit(limit)
            )
            return [codec.event_of(row, call_id, tenant) for row in connection.execute(query).mappings()]

        return await self._db.read(work)

    async def delete_call(self, tenant: str, call_id: str, *, telling: Sequence[Delivery] = ()) -> None:
        def work(connection: Connection) -> None:
            row = own_call(connection, tenant, call_id)
            if row["status"] == CallStatus.IN_PROGRESS:
                raise ConflictError(f"call {call_id} is in progress")
            self._db.terms.remove(connection, row["number"])
            connection.execute(delete(tables.calls).where(tables.calls.c.number == row["number"]))  # the rest goes too
            _unsubscribe(connection, CallKey(tenant, call_id))
            if telling:
                connection.execute(tables.deliveries.insert(), [codec.delivery_row(delivery) for delivery in telling])

        await self._db.write(work)
        for delivery in telling:
            self._want(delivery.endpoint_id)

    async def expire(self, ended_before: float, *, limit: int) -> Sequence[CallKey]:
        return await self._db.write(lambda connection: _expire(connection, self._db, ended_before, limit))

    async def scrub(self) -> bool:
        return await self._db.scrub()


def _expire(connection: Connection, database: Database, ended_before: float, limit: int) -> Sequence[CallKey]:
    """A call's number says when it began: those of all that ended before then come first."""
    old = (
        select(tables.calls.c.number, tables.calls.c.tenant, tables.calls.c.call_id)
        .where(tables.calls.c.number < first_number(ended_before), tables.calls.c.ended_at < ended_before)
        .order_by(tables.calls.c.number)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    found = connection.execute(old).mappings().all()
    for row in found:
        database.terms.remove(connection, row["number"])
    numbers = [row["number"] for row in found]
    connection.execute(delete(tables.calls).where(tables.calls.c.number.in_(numbers)))  # the rest goes too
    for row in found:
        _unsubscribe(connection, CallKey(row["tenant"], row["call_id"]))
    deliveries = tables.deliveries.c
    connection.execute(
        delete(tables.deliveries).where(deliveries.call_id.is_(None), deliveries.created_at < ended_before)
    )
    return [CallKey(row["tenant"], row["call_id"]) for row in found]


def _unsubscribe(connection: Connection, key: CallKey) -> None:
    mine = tables.subscriptions.c
    connection.execute(delete(tables.subscriptions).where(mine.tenant == key.tenant, mine.call_id == key.call_id))


def _settle(connection: Connection, key: CallKey, now: float) -> bool:
    """Whether there is something to deliver now."""
    found = lock_calls(connection, {key})
    if not found:
        return False
    number, call = found[0]["number"], dataclasses.replace(codec.call_of(found[0]), settled=True)
    if call.status is CallStatus.IN_PROGRESS:
        raise ConflictError(f"call {key.call_id} is in progress")
    connection.execute(update(tables.calls).where(tables.calls.c.number == number).values(settled=True))
    payload = ended_payload(call, transcripts(connection, [number])[number])
    released = connection.execute(
        update(tables.deliveries)
        .where(
            tables.deliveries.c.tenant == key.tenant,
            tables.deliveries.c.call_id == key.call_id,
            tables.deliveries.c.status == DeliveryStatus.HELD,
        )
        .values(payload=codec.dump(payload), status=DeliveryStatus.PENDING, due_at=now)
    )
    return released.rowcount > 0
