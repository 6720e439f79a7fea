"""A call's id is its tenant's own: two tenants may choose the same."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

OWN = ["tenant", "call_id"]


def upgrade() -> None:
    """The new key first: what points at the old one is pointed there before that goes."""
    with op.batch_alter_table("deliveries") as deliveries:
        deliveries.drop_constraint("fk_deliveries_call_id", type_="foreignkey")
        deliveries.drop_index("ix_deliveries_call_id")
    with op.batch_alter_table("calls") as calls:
        calls.drop_constraint("uq_calls_call_id", type_="unique")
        calls.create_unique_constraint("uq_calls_tenant_call_id", OWN)
    with op.batch_alter_table("deliveries") as deliveries:
        deliveries.create_foreign_key("fk_deliveries_tenant_call_id", "calls", OWN, OWN, ondelete="CASCADE")
        deliveries.create_index("ix_deliveries_tenant_call_id", OWN)
