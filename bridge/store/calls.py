"""Calls: their events and transcripts, kept and read back."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Select, bindparam, delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.errors import ConflictError
from bridge.model.events import Event
from bridge.model.records import CallFilter, CallRecord, CallStatus, DeliveryStatus
from bridge.model.words import Segment
from bridge.ports import Page
from bridge.store import codec, listing, tables
from bridge.store.changes import Changes, Wish, deliveries_of
from bridge.store.numbers import call_number
from bridge.store.part import Part, whole
from bridge.store.payloads import ended_payload
from bridge.store.reading import own_call, transcripts
from bridge.store.terms import terms


class SqlCalls(Part):
    """The `CallStore` port."""

    @whole
    async def append(self, events: Sequence[Event]) -> None:
        """One transaction of about ten statements, however many events of however many calls. A repeated write is
        recognised by its events' ids and changes nothing.

        Raises ConflictError or NotFoundError when one event has no place; then none is kept.
        """
        if not events:
            return
        async with self._db.write() as connection:
            known = await _lock_calls(connection, {event.call_id for event in events})
            numbers = {row["call_id"]: row["number"] for row in known}
            changes = Changes({row["call_id"]: codec.call_of(row) for row in known})
            fresh = await _without_kept(connection, events, changes.calls, numbers)
            for event in fresh:
                changes.add(event)
            if not fresh:
                return
            numbers |= await _new_numbers(connection, [changes.calls[call_id] for call_id in changes.started])
            await _write_calls(connection, changes, numbers, {event.call_id for event in fresh})
            await connection.execute(
                tables.events.insert(), [codec.event_row(event, numbers[event.call_id]) for event in fresh]
            )
            await self._write_segments(connection, changes, numbers)
            texts = await self._index(connection, changes, numbers)
            told = deliveries_of(fresh, changes.calls, texts, await _wishes(connection, changes.calls.values()))
            if told:
                await connection.execute(
                    self._db.insert(tables.deliveries).on_conflict_do_nothing(),
                    [codec.delivery_row(item) for item in told],
                )
        if told:
            self._due.send()

    @whole
    async def settle(self, call_id: str, now: float) -> None:
        """Again, or for a deleted call: changes nothing. Raises ConflictError while the call is in progress."""
        async with self._db.write() as connection:
            found = await _lock_calls(connection, {call_id})
            if not found:
                return
            number, call = found[0]["number"], dataclasses.replace(codec.call_of(found[0]), settled=True)
            if call.status is CallStatus.IN_PROGRESS:
                raise ConflictError(f"call {call_id} is in progress")
            await connection.execute(update(tables.calls).where(tables.calls.c.number == number).values(settled=True))
            payload = ended_payload(call, (await transcripts(connection, [number]))[number])
            released = await connection.execute(
                update(tables.deliveries)
                .where(tables.deliveries.c.call_id == call_id, tables.deliveries.c.status == DeliveryStatus.HELD)
                .values(payload=codec.dump(payload), status=DeliveryStatus.PENDING, due_at=now)
            )
        if released.rowcount:
            self._due.send()

    @whole
    async def call(self, tenant: str, call_id: str) -> CallRecord:
        async with self._db.read() as connection:
            return codec.call_of(await own_call(connection, tenant, call_id))

    @whole
    async def calls(self, tenant: str, wanted: CallFilter, *, cursor: str | None, limit: int) -> Page:
        """Newest start first; newest end first when `ended_after` asks what is new. Text is found in ended calls."""
        query = listing.query(tenant, wanted, cursor=cursor, limit=limit, index=self._terms)
        async with self._db.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return listing.page(rows, wanted, limit=limit)

    @whole
    async def unfinished(self) -> Sequence[CallRecord]:
        query = select(tables.calls).where(text(tables.UNSETTLED)).order_by(tables.calls.c.number)
        async with self._db.read() as connection:
            return [codec.call_of(row) for row in (await connection.execute(query)).mappings()]

    @whole
    async def segments(self, tenant: str, call_id: str) -> Sequence[Segment]:
        async with self._db.read() as connection:
            number = (await own_call(connection, tenant, call_id))["number"]
            return (await transcripts(connection, [number]))[number]

    @whole
    async def events(self, tenant: str, call_id: str, *, after: int, limit: int) -> Sequence[Event]:
        async with self._db.read() as connection:
            call = await own_call(connection, tenant, call_id)
            rows = await connection.execute(
                select(tables.events)
                .where(tables.events.c.call == call["number"], tables.events.c.seq > after)
                .order_by(tables.events.c.seq)
                .limit(limit)
            )
            return [codec.event_of({**row, "call_id": call_id, "tenant": tenant}) for row in rows.mappings()]

    @whole
    async def delete_call(self, tenant: str, call_id: str) -> None:
        async with self._db.write() as connection:
            row = await own_call(connection, tenant, call_id)
            if row["status"] == CallStatus.IN_PROGRESS:
                raise ConflictError(f"call {call_id} is in progress")
            await self._terms.remove(connection, row["number"])
            await connection.execute(
                delete(tables.calls).where(tables.calls.c.number == row["number"])
            )  # the rest goes with it

    async def _write_segments(self, connection: AsyncConnection, changes: Changes, numbers: Mapping[str, int]) -> None:
        here = (
            tables.segments.c.call == bindparam("c"),
            tables.segments.c.leg == bindparam("l"),
            tables.segments.c.segment == bindparam("s"),
        )
        if changes.gone:
            await connection.execute(
                delete(tables.segments).where(*here),
                [{"c": numbers[call_id], "l": leg, "s": segment} for call_id, leg, segment in changes.gone],
            )
        if changes.kept:
            insert = self._db.insert(tables.segments)
            await connection.execute(
                insert.on_conflict_do_update(
                    index_elements=list(tables.segments.primary_key),
                    set_={c.name: insert.excluded[c.name] for c in tables.segments.c if not c.primary_key},
                ),
                [codec.segment_row(segment, numbers[key[0]]) for key, segment in changes.kept.items()],
            )
        if changes.speakers:
            await connection.execute(
                update(tables.segments).where(*here).values(speaker=bindparam("name")),
                [
                    {"c": numbers[call_id], "l": leg, "s": segment, "name": name}
                    for (call_id, leg, segment), name in changes.speakers.items()
                ],
            )

    async def _index(
        self, connection: AsyncConnection, changes: Changes, numbers: Mapping[str, int]
    ) -> dict[str, list[Segment]]:
        """Make ended calls findable by their words; the transcripts of those are the answer, by call_id.

        A call is indexed at its end and whenever its words change after it, not with each final: on PostgreSQL every
        change to a row writes all its words into the index again.
        """
        ended = {
            call_id
            for call_id in changes.rewritten() | changes.ended.keys()
            if changes.calls[call_id].status is not CallStatus.IN_PROGRESS
        }
        if not ended:
            return {}
        read = await transcripts(connection, [numbers[call_id] for call_id in ended])
        texts = {call_id: read[numbers[call_id]] for call_id in ended}
        await self._terms.put(
            connection,
            [(numbers[call_id], terms(*(s.text for s in said))) for call_id, said in texts.items()],
        )
        return texts


async def _lock_calls(connection: AsyncConnection, call_ids: Collection[str]) -> Sequence[codec.Row]:
    """Rows of `calls`, held against other writers until the transaction ends; in one order, so that none deadlock."""
    query = (
        select(tables.calls)
        .where(tables.calls.c.call_id.in_(call_ids))
        .order_by(tables.calls.c.number)
        .with_for_update()
    )
    return (await connection.execute(query)).mappings().all()


async def _without_kept(
    connection: AsyncConnection,
    events: Sequence[Event],
    known: Mapping[str, CallRecord],
    numbers: Mapping[str, int],
) -> list[Event]:
    """`events` without the events that are in the database already: the writer was cut off before it heard so."""
    repeated = [event for event in events if event.call_id in known and event.seq <= known[event.call_id].last_seq]
    if not repeated:
        return list(events)
    asked = select(tables.events.c.id).where(
        tables.events.c.call.in_({numbers[event.call_id] for event in repeated}),
        tables.events.c.seq.in_({event.seq for event in repeated}),
    )
    kept = set((await connection.execute(asked)).scalars())
    return [event for event in events if event.id not in kept]


async def _new_numbers(connection: AsyncConnection, started: Iterable[CallRecord]) -> dict[str, int]:
    wanted = {call.call_id: call_number(call.call_id, call.started_at) for call in started}
    if not wanted:
        return {}
    taken = set(
        (
            await connection.execute(select(tables.calls.c.number).where(tables.calls.c.number.in_(wanted.values())))
        ).scalars()
    )
    numbers: dict[str, int] = {}
    for call_id, number in wanted.items():
        free = number
        while free in taken:
            free += 1
        taken.add(free)
        numbers[call_id] = free
    return numbers


async def _write_calls(
    connection: AsyncConnection, changes: Changes, numbers: Mapping[str, int], touched: Collection[str]
) -> None:
    rows = {call_id: codec.call_row(changes.calls[call_id], numbers[call_id]) for call_id in touched}
    if changes.started:
        await connection.execute(tables.calls.insert(), [rows.pop(call_id) for call_id in changes.started])
    if rows:
        names = ("status", "ended_at", "reason", "error", "duration_ms", "last_seq")
        await connection.execute(
            update(tables.calls)
            .where(tables.calls.c.number == bindparam("at"))
            .values({name: bindparam(f"new_{name}") for name in names}),
            [{"at": row["number"], **{f"new_{name}": row[name] for name in names}} for row in rows.values()],
        )


async def _wishes(connection: AsyncConnection, touched: Iterable[CallRecord]) -> list[Wish]:
    query: Select[Any] = select(tables.endpoints.c.id, tables.endpoints.c.tenant, tables.endpoints.c.events).where(
        tables.endpoints.c.tenant.in_({call.tenant for call in touched}), tables.endpoints.c.enabled
    )
    return [codec.wish_of(row) for row in (await connection.execute(query)).mappings()]
