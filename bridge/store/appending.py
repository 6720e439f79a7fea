"""A batch of events, written: about ten statements, however many events of however many calls."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, delete, select, update

from bridge.model.call_key import CallKey
from bridge.model.events import Event
from bridge.model.records import CallRecord, CallStatus
from bridge.model.words import Segment
from bridge.store import codec, tables
from bridge.store.changes import Changes, Wish, deliveries_of
from bridge.store.database import Database
from bridge.store.numbers import call_number
from bridge.store.reading import transcripts
from bridge.store.terms import terms

# Built once: putting a statement together costs more than running it.
_CALLS: Final = (
    select(tables.calls)
    .where(tables.calls.c.tenant.in_(bindparam("tenants", expanding=True)))
    .where(tables.calls.c.call_id.in_(bindparam("call_ids", expanding=True)))
    .order_by(tables.calls.c.number)
    .with_for_update()
)
_CHANGING: Final = ("status", "ended_at", "reason", "error", "duration_ms", "last_seq")
_CALL_CHANGED: Final = (
    update(tables.calls)
    .where(tables.calls.c.number == bindparam("at"))
    .values({name: bindparam(f"new_{name}") for name in _CHANGING})
)
_HERE: Final = (
    tables.segments.c.call == bindparam("at"),
    tables.segments.c.leg == bindparam("of"),
    tables.segments.c.segment == bindparam("nth"),
)
_SEGMENT_GONE: Final = delete(tables.segments).where(*_HERE)
_SEGMENT_NAMED: Final = update(tables.segments).where(*_HERE).values(speaker=bindparam("name"))
_WISHES: Final = select(tables.endpoints.c.id, tables.endpoints.c.tenant, tables.endpoints.c.events).where(
    tables.endpoints.c.tenant.in_(bindparam("tenants", expanding=True)), tables.endpoints.c.enabled
)
_SUBSCRIBED: Final = (
    select(tables.subscriptions)
    .join(tables.endpoints, tables.endpoints.c.id == tables.subscriptions.c.endpoint_id)
    .where(
        tables.subscriptions.c.tenant.in_(bindparam("tenants", expanding=True)),
        tables.subscriptions.c.call_id.in_(bindparam("call_ids", expanding=True)),
        tables.endpoints.c.enabled,
    )
)


def append(database: Database, connection: Connection, events: Sequence[Event], *, node: str | None = None) -> bool:
    """Keep events and what follows from them; whether there is something to deliver. Calls that begin are `node`'s.

    Raises ConflictError or NotFoundError when one event has no place.
    """
    known = lock_calls(connection, {event.key for event in events})
    numbers = {CallKey(row["tenant"], row["call_id"]): row["number"] for row in known}
    changes = Changes({call.key: call for call in map(codec.call_of, known)}, node=node)
    fresh = _without_kept(connection, events, changes.calls, numbers)
    if not fresh:
        return False
    for event in fresh:
        changes.add(event)
    numbers |= _new_numbers(connection, [changes.calls[key] for key in changes.started])
    _write_calls(connection, changes, numbers, {event.key for event in fresh})
    connection.execute(tables.events.insert(), [codec.event_row(event, numbers[event.key]) for event in fresh])
    _write_segments(database, connection, changes, numbers)
    texts = _index(database, connection, changes, numbers)
    told = deliveries_of(fresh, changes.calls, texts, _wishes(connection, changes.calls.values()))
    if told:
        insert = database.insert(tables.deliveries).on_conflict_do_nothing()
        connection.execute(insert, [codec.delivery_row(delivery) for delivery in told])
    return bool(told)


def lock_calls(connection: Connection, keys: Collection[CallKey]) -> Sequence[codec.Row]:
    """Rows of `calls`, held against other writers until the transaction ends; in one order, so that none deadlock."""
    # Pairs would be exact, but SQLite looks for those through the whole table.
    wanted = {"tenants": list({key.tenant for key in keys}), "call_ids": list({key.call_id for key in keys})}
    rows = connection.execute(_CALLS, wanted).mappings().all()
    return [row for row in rows if (row["tenant"], row["call_id"]) in keys]


def _without_kept(
    connection: Connection, events: Sequence[Event], known: Mapping[CallKey, CallRecord], numbers: Mapping[CallKey, int]
) -> list[Event]:
    """`events` without those that are in the database already: the writer was cut off before it heard so."""
    repeated = [event for event in events if event.key in known and event.seq <= known[event.key].last_seq]
    if not repeated:
        return list(events)
    asked = select(tables.events.c.id).where(
        tables.events.c.call.in_({numbers[event.key] for event in repeated}),
        tables.events.c.seq.in_({event.seq for event in repeated}),
    )
    kept = set(connection.execute(asked).scalars())
    return [event for event in events if event.id not in kept]


def _new_numbers(connection: Connection, started: Iterable[CallRecord]) -> dict[CallKey, int]:
    wanted = {call.key: call_number(call.key, call.started_at) for call in started}
    if not wanted:
        return {}
    asked = select(tables.calls.c.number).where(tables.calls.c.number.in_(wanted.values()))
    taken = set(connection.execute(asked).scalars())
    numbers: dict[CallKey, int] = {}
    for key, number in wanted.items():
        free = number
        while free in taken:
            free += 1
        taken.add(free)
        numbers[key] = free
    return numbers


def _write_calls(
    connection: Connection, changes: Changes, numbers: Mapping[CallKey, int], touched: Collection[CallKey]
) -> None:
    rows = {key: codec.call_row(changes.calls[key], numbers[key]) for key in touched}
    if changes.started:
        connection.execute(tables.calls.insert(), [rows.pop(key) for key in changes.started])
    if rows:
        connection.execute(
            _CALL_CHANGED,
            [{"at": row["number"], **{f"new_{name}": row[name] for name in _CHANGING}} for row in rows.values()],
        )


def _write_segments(
    database: Database, connection: Connection, changes: Changes, numbers: Mapping[CallKey, int]
) -> None:
    if changes.gone:
        connection.execute(
            _SEGMENT_GONE,
            [{"at": numbers[key], "of": leg, "nth": segment} for key, leg, segment in changes.gone],
        )
    if changes.kept:
        insert = database.insert(tables.segments)
        connection.execute(
            insert.on_conflict_do_update(
                index_elements=list(tables.segments.primary_key),
                set_={c.name: insert.excluded[c.name] for c in tables.segments.c if not c.primary_key},
            ),
            [codec.segment_row(segment, numbers[key[0]]) for key, segment in changes.kept.items()],
        )
    if changes.speakers:
        connection.execute(
            _SEGMENT_NAMED,
            [
                {"at": numbers[key], "of": leg, "nth": segment, "name": name}
                for (key, leg, segment), name in changes.speakers.items()
            ],
        )


def _index(
    database: Database, connection: Connection, changes: Changes, numbers: Mapping[CallKey, int]
) -> dict[CallKey, list[Segment]]:
    """Make ended calls findable by their words; the transcripts of those are the answer.

    A call is indexed at its end and whenever its words change after it, not with each final: on PostgreSQL every
    change to a row writes all its words into the index again.
    """
    ended = {
        key
        for key in changes.rewritten() | changes.ended.keys()
        if changes.calls[key].status is not CallStatus.IN_PROGRESS
    }
    if not ended:
        return {}
    read = transcripts(connection, [numbers[key] for key in ended])
    texts = {key: read[numbers[key]] for key in ended}
    database.terms.put(connection, [(numbers[key], terms(*(s.text for s in said))) for key, said in texts.items()])
    return texts


def _wishes(connection: Connection, touched: Collection[CallRecord]) -> list[Wish]:
    """Those of a call's own first: where an endpoint is told of it twice over, the call's own address is the one."""
    tenants, call_ids = list({call.tenant for call in touched}), list({call.call_id for call in touched})
    own = connection.execute(_SUBSCRIBED, {"tenants": tenants, "call_ids": call_ids})
    wishes = [codec.call_wish_of(row) for row in own.mappings()]
    return wishes + [codec.wish_of(row) for row in connection.execute(_WISHES, {"tenants": tenants}).mappings()]
