"""Webhook endpoints; their secrets are encrypted before they reach the database."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, exc, select, update

from bridge.errors import ConflictError
from bridge.model.records import Endpoint, Subscription
from bridge.store import codec, tables
from bridge.store.part import Part
from bridge.store.reading import own_endpoint


class SqlEndpoints(Part):
    """The `EndpointStore` port."""

    async def create_endpoint(self, endpoint: Endpoint) -> None:
        """Raises ConflictError when the id is taken."""
        row = codec.endpoint_row(endpoint, self._cipher)

        def work(connection: Connection) -> None:
            try:
                connection.execute(tables.endpoints.insert(), row)
            except exc.IntegrityError:
                raise ConflictError(f"webhook endpoint {endpoint.id} exists already") from None

        await self._db.write(work)

    async def endpoints(self, tenant: str) -> Sequence[Endpoint]:
        """Oldest first."""
        query = (
            select(tables.endpoints)
            .where(tables.endpoints.c.tenant == tenant)
            .order_by(tables.endpoints.c.created_at, tables.endpoints.c.id)
        )
        rows = await self._db.read(lambda connection: connection.execute(query).mappings().all())
        return [codec.endpoint_of(row, self._cipher) for row in rows]

    async def endpoint(self, tenant: str, endpoint_id: str) -> Endpoint:
        row = await self._db.read(lambda connection: own_endpoint(connection, tenant, endpoint_id))
        return codec.endpoint_of(row, self._cipher)

    async def update_endpoint(self, tenant: str, endpoint_id: str, changes: Mapping[str, Any]) -> Endpoint:
        """What an endpoint was not sent while it was disabled goes out once it is enabled."""

        def work(connection: Connection) -> Endpoint:
            row = own_endpoint(connection, tenant, endpoint_id)
            changed = dataclasses.replace(codec.endpoint_of(row, self._cipher), **changes)
            if changes:
                values = codec.endpoint_row(changed, self._cipher)
                connection.execute(
                    update(tables.endpoints)
                    .where(tables.endpoints.c.id == endpoint_id)
                    .values({name: values[name] for name in changes})
                )
            return changed

        changed = await self._db.write(work)
        self._want(endpoint_id)
        return changed

    async def delete_endpoint(self, tenant: str, endpoint_id: str) -> None:
        def work(connection: Connection) -> None:
            own_endpoint(connection, tenant, endpoint_id)
            connection.execute(delete(tables.endpoints).where(tables.endpoints.c.id == endpoint_id))

        await self._db.write(work)

    async def subscribe(self, wanted: Subscription) -> None:
        row = codec.subscription_row(wanted)
        insert = self._db.insert(tables.subscriptions)
        kept = insert.on_conflict_do_update(
            index_elements=list(tables.subscriptions.primary_key),
            set_={"events": insert.excluded.events, "url": insert.excluded.url},
        )

        def work(connection: Connection) -> None:
            own_endpoint(connection, wanted.tenant, wanted.endpoint_id)
            connection.execute(kept, row)

        await self._db.write(work)

    async def unsubscribe(self, wanted: Subscription) -> None:
        same = [tables.subscriptions.c[name] == value for name, value in codec.subscription_row(wanted).items()]
        await self._db.write(lambda connection: connection.execute(delete(tables.subscriptions).where(*same)))
