"""Alembic's entry: runs on the connection, and in the transaction, that `bridge.store.migrate` has opened."""

from __future__ import annotations

from alembic import context

from bridge.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
