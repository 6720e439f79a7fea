"""The first tables: calls with their events and transcripts, webhooks, keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

CALL_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
UNSETTLED = sa.text("NOT settled")
OPEN = sa.text("status IN ('held', 'pending')")


def upgrade() -> None:
    _calls()
    _of_calls()
    _webhooks()
    _keys()
    op.create_table(
        "heartbeat",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_heartbeat"),
    )


def _calls() -> None:
    op.create_table(
        "calls",
        sa.Column("number", CALL_NUMBER, autoincrement=False, nullable=False),
        sa.Column("call_id", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("carrier", sa.Text, nullable=False),
        sa.Column("carrier_call_id", sa.Text, nullable=False),
        sa.Column("legs", sa.Text, nullable=False),
        sa.Column("codec", sa.Text, nullable=False),
        sa.Column("sample_rate", sa.Integer, nullable=False),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("ended_at", sa.Double),
        sa.Column("reason", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("duration_ms", sa.BigInteger),
        sa.Column("settled", sa.Boolean, nullable=False),
        sa.Column("last_seq", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_calls"),
        sa.UniqueConstraint("call_id", name="uq_calls_call_id"),
    )
    for columns in (["number"], ["status", "number"], ["ended_at", "number"], ["carrier_call_id", "number"]):
        op.create_index(f"ix_calls_tenant_{'_'.join(columns)}", "calls", ["tenant", *columns])
    op.create_index("ix_calls_unsettled", "calls", ["number"], sqlite_where=UNSETTLED, postgresql_where=UNSETTLED)
    if op.get_bind().dialect.name == "sqlite":
        # Words are cut before they come here: "ascii" leaves every other letter alone. Only whole words are asked for,
        # so neither their places nor their columns are kept.
        op.execute("CREATE VIRTUAL TABLE call_terms USING fts5(terms, tokenize = 'ascii', detail = none)")
        return
    op.create_table(
        "call_terms",
        sa.Column("call", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("terms", sa.ARRAY(sa.Text), nullable=False),
        sa.PrimaryKeyConstraint("call", name="pk_call_terms"),
        sa.ForeignKeyConstraint(["call"], ["calls.number"], name="fk_call_terms_call", ondelete="CASCADE"),
    )
    op.create_index("ix_call_terms_terms", "call_terms", ["terms"], postgresql_using="gin")


def _of_calls() -> None:
    op.create_table(
        "events",
        sa.Column("call", CALL_NUMBER, autoincrement=False, nullable=False),
        sa.Column("seq", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("call", "seq", name="pk_events"),
        sa.ForeignKeyConstraint(["call"], ["calls.number"], name="fk_events_call", ondelete="CASCADE"),
    )
    op.create_table(
        "segments",
        sa.Column("call", CALL_NUMBER, autoincrement=False, nullable=False),
        sa.Column("leg", sa.Text, nullable=False),
        sa.Column("segment", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("start_ms", sa.BigInteger, nullable=False),
        sa.Column("end_ms", sa.BigInteger, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("confidence", sa.Double, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("speaker", sa.Text),
        sa.PrimaryKeyConstraint("call", "leg", "segment", name="pk_segments"),
        sa.ForeignKeyConstraint(["call"], ["calls.number"], name="fk_segments_call", ondelete="CASCADE"),
    )


def _webhooks() -> None:
    op.create_table(
        "endpoints",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("events", sa.Text, nullable=False),
        sa.Column("secrets", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("disabled_reason", sa.Text),
        sa.Column("secret_rotates_at", sa.Double),
        sa.PrimaryKeyConstraint("id", name="pk_endpoints"),
    )
    op.create_index("ix_endpoints_tenant", "endpoints", ["tenant"])
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("endpoint_id", sa.Text, nullable=False),
        sa.Column("call_id", sa.Text),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("due_at", sa.Double, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
        sa.ForeignKeyConstraint(["call_id"], ["calls.call_id"], name="fk_deliveries_call_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoints.id"], name="fk_deliveries_endpoint_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_deliveries_call_id", "deliveries", ["call_id"])
    op.create_index("ix_deliveries_endpoint_id_created_at", "deliveries", ["endpoint_id", "created_at"])
    op.create_index(
        "ix_deliveries_open", "deliveries", ["endpoint_id", "due_at"], sqlite_where=OPEN, postgresql_where=OPEN
    )
    op.create_table(
        "attempts",
        sa.Column("delivery_id", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("error", sa.Text),
        sa.Column("duration_ms", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("delivery_id", "at", "number", name="pk_attempts"),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name="fk_attempts_delivery_id", ondelete="CASCADE"),
    )


def _keys() -> None:
    op.create_table(
        "keys",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("prefix", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("revoked_at", sa.Double),
        sa.Column("last_used_at", sa.Double),
        sa.PrimaryKeyConstraint("id", name="pk_keys"),
        sa.UniqueConstraint("sha256", name="uq_keys_sha256"),
    )
    op.create_index("ix_keys_tenant", "keys", ["tenant"])
