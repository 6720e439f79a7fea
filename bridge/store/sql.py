"""The store: SQLite or PostgreSQL behind one set of statements."""

from __future__ import annotations

import asyncio

from sqlalchemy import select

from bridge.ports import Clock, Store
from bridge.store import codec, tables
from bridge.store.calls import SqlCalls
from bridge.store.cipher import Cipher
from bridge.store.database import Database, connect
from bridge.store.endpoints import SqlEndpoints
from bridge.store.keys import SqlKeys
from bridge.store.migrate import migrate
from bridge.store.outbox import SqlOutbox
from bridge.store.part import whole


class SqlStore(SqlCalls, SqlOutbox, SqlEndpoints, SqlKeys):
    """The `Store` port. Faults of the database are StoreError, and worth another try."""

    @whole
    async def ping(self) -> None:
        async with self._db.write() as connection:
            insert = self._db.insert(tables.heartbeat)
            await connection.execute(
                insert.on_conflict_do_update(index_elements=["id"], set_={"at": insert.excluded.at}),
                {"id": 1, "at": self._clock.now()},
            )

    async def close(self) -> None:
        """Let what is under way end first."""
        if self._running:
            await asyncio.wait(self._running)
        await self._db.close()

    @whole
    async def check_cipher(self) -> None:
        """Raises SetupError when the endpoints' secrets were encrypted with a key that is not here."""
        async with self._db.read() as connection:
            rows = (await connection.execute(select(tables.endpoints).limit(1))).mappings().all()
        for row in rows:
            codec.endpoint_of(row, self._cipher)


async def open_store(database_url: str, cipher: Cipher, clock: Clock) -> Store:
    """Open `sqlite:///FILE` or `postgresql://…`, making or migrating the tables first. Processes may do so at once.

    Raises SetupError for what only a person can put right, StoreError when the database does not answer.
    """
    await migrate(database_url)
    store = SqlStore(Database(connect(database_url)), cipher, clock)
    try:
        await store.check_cipher()
    except BaseException:
        await store.close()
        raise
    return store
