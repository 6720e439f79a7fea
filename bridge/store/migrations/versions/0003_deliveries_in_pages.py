"""An endpoint's deliveries are read a page at a time, all or those of one status."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_deliveries_endpoint_id_created_at", "deliveries")
    for columns in (["created_at", "id"], ["status", "created_at", "id"]):
        op.create_index(f"ix_deliveries_endpoint_id_{'_'.join(columns)}", "deliveries", ["endpoint_id", *columns])
