"""Endpoints that are written to in another service's way, calls with a callback of their own, accounts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("endpoints", sa.Column("style", sa.Text, nullable=False, server_default=sa.text("''")))
    op.add_column("endpoints", sa.Column("options", sa.Text, nullable=False, server_default=sa.text("'{}'")))
    op.add_column("deliveries", sa.Column("url", sa.Text))
    op.create_table(
        "subscriptions",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("call_id", sa.Text, nullable=False),
        sa.Column("endpoint_id", sa.Text, nullable=False),
        sa.Column("events", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "call_id", "endpoint_id", name="pk_subscriptions"),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoints.id"], name="fk_subscriptions_endpoint_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_subscriptions_endpoint_id", "subscriptions", ["endpoint_id"])
    op.create_table(
        "accounts",
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("tenant", name="pk_accounts"),
    )
