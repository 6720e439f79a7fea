"""Queries that must stay fast with a million calls: each is answered by an index, in order, without a sort."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, Select, select, text

from bridge.model.records import CallFilter, CallStatus, DeliveryFilter, DeliveryStatus
from bridge.ports import Store
from bridge.store import listing, outbox, tables
from bridge.store.cursor import to_cursor
from bridge.store.sqlite import SqliteDatabase
from tests.story import START

CURSOR_BY_START = "WzE4MDAwMDAwMDAwMDBd"  # [1800000000000]
CURSOR_BY_END = "WzE4MDAwMDAwMDAuNSwxXQ"  # [1800000000.5,1]
SENT = to_cursor([START, "msg_1"])


async def plan_of(store: Any, query: Select[Any]) -> str:
    """What the engine means to do; PostgreSQL is told that tables are too large to read through or to sort."""

    def work(connection: Connection) -> str:
        written = str(query.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))
        how = "QUERY PLAN "
        if connection.dialect.name == "postgresql":
            how = ""
            for method in ("seqscan", "sort"):
                connection.execute(text(f"SET LOCAL enable_{method} = off"))
        rows = connection.execute(text(f"EXPLAIN {how}{written}".replace(":", "\\:")))
        return "\n".join(str(row[-1]) for row in rows)

    plan: str = await store._db.read(work)
    return plan


def is_sqlite(store: Any) -> bool:
    return isinstance(store._db, SqliteDatabase)


@pytest.mark.parametrize(
    ("wanted", "cursor", "index"),
    [
        pytest.param(CallFilter(), None, "ix_calls_tenant_number", id="newest"),
        pytest.param(CallFilter(), CURSOR_BY_START, "ix_calls_tenant_number", id="next-page"),
        pytest.param(CallFilter(status=CallStatus.FAILED), None, "ix_calls_tenant_status_number", id="by-status"),
        pytest.param(
            CallFilter(carrier_call_id="CA1"), None, "ix_calls_tenant_carrier_call_id_number", id="by-carriers-id"
        ),
        pytest.param(
            CallFilter(started_after=START, started_before=START + 1), None, "ix_calls_tenant_number", id="by-start"
        ),
        pytest.param(CallFilter(ended_after=START), None, "ix_calls_tenant_ended_at_number", id="by-end"),
        pytest.param(
            CallFilter(ended_after=START), CURSOR_BY_END, "ix_calls_tenant_ended_at_number", id="by-end-next-page"
        ),
    ],
)
async def test_a_list_reads_an_index_in_order(store: Store, wanted: CallFilter, cursor: str | None, index: str) -> None:
    """The page is the first rows of an index: nothing is read through, nothing is sorted."""
    terms = store._db.terms  # type: ignore[attr-defined]
    [query] = listing.queries("acme", wanted, cursor=cursor, limit=50, index=terms)
    plan = await plan_of(store, query)
    assert index in plan
    for costly in ("SCAN calls", "Seq Scan", "TEMP B-TREE", "Sort"):
        assert costly not in plan, plan


async def test_a_search_reads_the_word_index(store: Store) -> None:
    """SQLite reads matches by number, newest first. PostgreSQL looks through the newest calls, then asks its index."""
    terms = store._db.terms  # type: ignore[attr-defined]
    found = listing.queries("acme", CallFilter(text="refund"), cursor=CURSOR_BY_START, limit=50, index=terms)
    plans = [await plan_of(store, query) for query in found]
    if is_sqlite(store):
        [plan] = plans
        assert "call_terms VIRTUAL TABLE INDEX" in plan
        assert "calls USING INTEGER PRIMARY KEY" in plan
        assert "TEMP B-TREE" not in plan
        return
    newest, by_index = plans
    assert "ix_calls_tenant_number" in newest
    assert "ix_call_terms_terms" in by_index


@pytest.mark.parametrize(
    ("query", "index"),
    [
        pytest.param(outbox._due("we_1", 4, START), "ix_deliveries_open", id="an-endpoints-due-deliveries"),
        pytest.param(
            outbox.sent_to("a", "we_1", DeliveryFilter(), cursor=None, limit=50),
            "ix_deliveries_endpoint_id_created_at_id",
            id="an-endpoints-deliveries",
        ),
        pytest.param(
            outbox.sent_to("a", "we_1", DeliveryFilter(status=DeliveryStatus.EXHAUSTED), cursor=SENT, limit=50),
            "ix_deliveries_endpoint_id_status_created_at_id",
            id="an-endpoints-exhausted-deliveries-next-page",
        ),
        pytest.param(outbox._waiting(START), "ix_deliveries_open", id="endpoints-with-something-due"),
        pytest.param(
            select(tables.calls.c.number).where(text(tables.UNSETTLED)).order_by(tables.calls.c.number),
            "ix_calls_unsettled",
            id="unfinished-calls",
        ),
        pytest.param(
            select(tables.events)
            .where(tables.events.c.call == 1, tables.events.c.seq > 5)
            .order_by(tables.events.c.seq),
            "pk_events",
            id="a-calls-events",
        ),
        pytest.param(
            select(tables.deliveries).where(tables.deliveries.c.tenant == "a", tables.deliveries.c.call_id == "c"),
            "ix_deliveries_tenant_call_id",
            id="a-calls-deliveries",
        ),
        pytest.param(
            select(tables.calls).where(tables.calls.c.tenant.in_(["a", "b"]), tables.calls.c.call_id.in_(["c", "d"])),
            "uq_calls_tenant_call_id",
            id="calls-by-key",
        ),
    ],
)
async def test_work_reads_an_index(store: Store, query: Select[Any], index: str) -> None:
    """However much has been delivered, settled or said, only what is asked for is read."""
    plan = await plan_of(store, query)
    if is_sqlite(store):  # which names the index of a key itself
        index = index.replace("pk_events", "sqlite_autoindex_events_1")
        index = index.replace("uq_calls_tenant_call_id", "sqlite_autoindex_calls_1")
    assert index in plan
    for costly in ("Seq Scan on deliveries", "Seq Scan on calls", "SCAN deliveries", "SCAN events", "TEMP B-TREE"):
        assert costly not in plan, plan
