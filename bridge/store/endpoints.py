"""Webhook endpoints; their secrets are encrypted before they reach the database."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, exc, select, update

from bridge.errors import ConflictError
from bridge.model.records import Endpoint
from bridge.store import codec, tables
from bridge.store.part import Part, whole
from bridge.store.reading import own_endpoint


class SqlEndpoints(Part):
    """The `EndpointStore` port."""

    @whole
    async def create_endpoint(self, endpoint: Endpoint) -> None:
        """Raises ConflictError when the id is taken."""
        async with self._db.write() as connection:
            try:
                await connection.execute(tables.endpoints.insert(), codec.endpoint_row(endpoint, self._cipher))
            except exc.IntegrityError:
                raise ConflictError(f"webhook endpoint {endpoint.id} exists already") from None

    @whole
    async def endpoints(self, tenant: str) -> Sequence[Endpoint]:
        """Oldest first."""
        query = (
            select(tables.endpoints)
            .where(tables.endpoints.c.tenant == tenant)
            .order_by(tables.endpoints.c.created_at, tables.endpoints.c.id)
        )
        async with self._db.read() as connection:
            rows = (await connection.execute(query)).mappings()
            return [codec.endpoint_of(row, self._cipher) for row in rows]

    @whole
    async def endpoint(self, tenant: str, endpoint_id: str) -> Endpoint:
        async with self._db.read() as connection:
            return codec.endpoint_of(await own_endpoint(connection, tenant, endpoint_id), self._cipher)

    @whole
    async def update_endpoint(self, tenant: str, endpoint_id: str, changes: Mapping[str, Any]) -> Endpoint:
        """What an endpoint was not sent while it was disabled goes out once it is enabled."""
        async with self._db.write() as connection:
            row = await own_endpoint(connection, tenant, endpoint_id)
            changed = dataclasses.replace(codec.endpoint_of(row, self._cipher), **changes)
            if changes:
                values = codec.endpoint_row(changed, self._cipher)
                await connection.execute(
                    update(tables.endpoints)
                    .where(tables.endpoints.c.id == endpoint_id)
                    .values({name: values[name] for name in changes})
                )
        self._want(endpoint_id)
        return changed

    @whole
    async def delete_endpoint(self, tenant: str, endpoint_id: str) -> None:
        async with self._db.write() as connection:
            await own_endpoint(connection, tenant, endpoint_id)
            await connection.execute(delete(tables.endpoints).where(tables.endpoints.c.id == endpoint_id))
