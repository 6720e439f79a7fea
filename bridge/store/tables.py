"""The tables, one shape for SQLite and PostgreSQL. `migrations/` makes them; a test holds the two alike.

Times are Unix seconds. Structured values are JSON text, which keeps its key order on both engines and takes any string
that a carrier may send. The words of finished calls are indexed apart (`terms.py`): that table differs by engine.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

CallNumber: Final = BigInteger().with_variant(Integer, "sqlite")
"""SQLite makes a primary key the row's own address only when it is called INTEGER."""

# An engine uses a partial index when the query repeats its condition word for word.
UNSETTLED: Final = "NOT settled"
OPEN: Final = "status IN ('held', 'pending')"

calls: Final = Table(
    "calls",
    metadata,
    # Milliseconds of the start, then 20 bits that tell calls of one millisecond apart (`numbers.py`). One integer is
    # the key of all that belongs to a call, the order of lists, the range of a time filter and a page's cursor.
    Column("number", CallNumber, primary_key=True, autoincrement=False),
    Column("call_id", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("carrier", Text, nullable=False),
    Column("carrier_call_id", Text, nullable=False),
    Column("legs", Text, nullable=False),
    Column("codec", Text, nullable=False),
    Column("sample_rate", Integer, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("reason", Text),
    Column("error", Text),
    Column("duration_ms", BigInteger),
    Column("settled", Boolean, nullable=False),
    Column("last_seq", Integer, nullable=False),
    Column("node", Text),
    UniqueConstraint("tenant", "call_id"),
)
Index("ix_calls_tenant_number", calls.c.tenant, calls.c.number)
Index("ix_calls_tenant_status_number", calls.c.tenant, calls.c.status, calls.c.number)
Index("ix_calls_tenant_ended_at_number", calls.c.tenant, calls.c.ended_at, calls.c.number)
Index("ix_calls_tenant_carrier_call_id_number", calls.c.tenant, calls.c.carrier_call_id, calls.c.number)
Index(
    "ix_calls_unsettled",
    calls.c.number,
    sqlite_where=text(UNSETTLED),
    postgresql_where=text(UNSETTLED),
)


def _call() -> Column[int]:
    return Column(
        "call",
        CallNumber,
        ForeignKey("calls.number", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    )


events: Final = Table(
    "events",
    metadata,
    _call(),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("time", Double, nullable=False),
    Column("body", Text, nullable=False),
)

segments: Final = Table(
    "segments",
    metadata,
    _call(),
    Column("leg", Text, primary_key=True),
    Column("segment", Integer, primary_key=True, autoincrement=False),
    Column("start_ms", BigInteger, nullable=False),
    Column("end_ms", BigInteger, nullable=False),
    Column("text", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("confidence", Double, nullable=False),
    Column("words", Text, nullable=False),
    Column("speaker", Text),
)

endpoints: Final = Table(
    "endpoints",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("events", Text, nullable=False),
    Column("secrets", Text, nullable=False),  # encrypted
    Column("enabled", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("description", Text, nullable=False),
    Column("disabled_reason", Text),
    Column("secret_rotates_at", Double),
    Column("style", Text, nullable=False, server_default=text("''")),
    Column("options", Text, nullable=False, server_default=text("'{}'")),
)
Index("ix_endpoints_tenant", endpoints.c.tenant)

subscriptions: Final = Table(
    "subscriptions",
    metadata,
    # Of no call's row: they are made before their call begins.
    Column("tenant", Text, primary_key=True),
    Column("call_id", Text, primary_key=True),
    Column("endpoint_id", Text, ForeignKey("endpoints.id", ondelete="CASCADE"), primary_key=True),
    Column("events", Text, nullable=False),
    Column("url", Text, nullable=False),
)
Index("ix_subscriptions_endpoint_id", subscriptions.c.endpoint_id)

deliveries: Final = Table(
    "deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("endpoint_id", Text, ForeignKey("endpoints.id", ondelete="CASCADE"), nullable=False),
    Column("call_id", Text),
    Column("type", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    # While a worker holds a delivery this is when its lease ends: one column says when anybody may next take it.
    Column("due_at", Double, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("url", Text),
    ForeignKeyConstraint(["tenant", "call_id"], ["calls.tenant", "calls.call_id"], ondelete="CASCADE"),
)
Index(
    "ix_deliveries_open",
    deliveries.c.endpoint_id,
    deliveries.c.due_at,
    sqlite_where=text(OPEN),
    postgresql_where=text(OPEN),
)
Index("ix_deliveries_endpoint_id_created_at_id", deliveries.c.endpoint_id, deliveries.c.created_at, deliveries.c.id)
Index(
    "ix_deliveries_endpoint_id_status_created_at_id",
    deliveries.c.endpoint_id,
    deliveries.c.status,
    deliveries.c.created_at,
    deliveries.c.id,
)
Index("ix_deliveries_tenant_call_id", deliveries.c.tenant, deliveries.c.call_id)

attempts: Final = Table(
    "attempts",
    metadata,
    Column("delivery_id", Text, ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True),
    Column("at", Double, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("status", Integer),
    Column("error", Text),
    Column("duration_ms", Integer, nullable=False),
)

keys: Final = Table(
    "keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("revoked_at", Double),
    Column("last_used_at", Double),
    UniqueConstraint("sha256"),
)
Index("ix_keys_tenant", keys.c.tenant)

voices: Final = Table(
    "voices",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("direction", Text, nullable=False),  # encrypted
    Column("speech_ms", BigInteger, nullable=False),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("tenant", "name"),
)

nodes: Final = Table(
    "nodes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("lives_until", Double, nullable=False),
)

accounts: Final = Table(
    "accounts",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("settings", Text, nullable=False),
)

heartbeat: Final = Table(
    "heartbeat",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("at", Double, nullable=False),
)
