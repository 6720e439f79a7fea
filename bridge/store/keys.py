"""API keys, by the SHA-256 of what their owner holds."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, RowMapping, exc, select, update

from bridge.errors import ConflictError, NotFoundError
from bridge.model.records import ApiKey
from bridge.store import codec, tables
from bridge.store.part import Part

USE_NOTED_EVERY_S: Final = 60.0
"""`last_used_at` is this coarse, so that most requests only read."""


class SqlKeys(Part):
    """The `KeyStore` port."""

    async def create_key(self, key: ApiKey, sha256: str) -> None:
        """Raises ConflictError when the id or the key itself is there already."""

        def work(connection: Connection) -> None:
            try:
                connection.execute(tables.keys.insert(), dataclasses.asdict(key) | {"sha256": sha256})
            except exc.IntegrityError:
                raise ConflictError(f"API key {key.id} exists already") from None

        await self._db.write(work)

    async def keys(self, tenant: str | None) -> Sequence[ApiKey]:
        """Oldest first, revoked ones too."""
        query = select(tables.keys).order_by(tables.keys.c.created_at, tables.keys.c.id)
        if tenant is not None:
            query = query.where(tables.keys.c.tenant == tenant)
        rows = await self._db.read(lambda connection: connection.execute(query).mappings().all())
        return [codec.key_of(row) for row in rows]

    async def find_key(self, sha256: str) -> ApiKey | None:
        query = select(tables.keys).where(tables.keys.c.sha256 == sha256, tables.keys.c.revoked_at.is_(None))
        row = await self._db.read(lambda connection: connection.execute(query).mappings().one_or_none())
        if row is None:
            return None
        key, now = codec.key_of(row), self._clock.now()
        if key.last_used_at is not None and abs(now - key.last_used_at) < USE_NOTED_EVERY_S:
            return key
        noted = update(tables.keys).where(tables.keys.c.id == key.id).values(last_used_at=now)
        await self._db.write(lambda connection: connection.execute(noted))
        return dataclasses.replace(key, last_used_at=now)

    async def revoke_key(self, key_id: str, now: float) -> ApiKey:
        """Again: keeps the first time."""
        mine = tables.keys.c.id == key_id

        def work(connection: Connection) -> RowMapping | None:
            connection.execute(
                update(tables.keys).where(mine, tables.keys.c.revoked_at.is_(None)).values(revoked_at=now)
            )
            return connection.execute(select(tables.keys).where(mine)).mappings().one_or_none()

        row = await self._db.write(work)
        if row is None:
            raise NotFoundError(f"no API key {key_id}")
        return codec.key_of(row)
