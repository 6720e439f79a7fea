"""The store: SQLite or PostgreSQL behind one set of statements."""

from __future__ import annotations

from sqlalchemy import select

from bridge.ports import Clock, Store
from bridge.store import codec, tables
from bridge.store.accounts import SqlAccounts
from bridge.store.address import database_at
from bridge.store.calls import SqlCalls
from bridge.store.cipher import Cipher
from bridge.store.endpoints import SqlEndpoints
from bridge.store.keys import SqlKeys
from bridge.store.migrate import migrate
from bridge.store.outbox import SqlOutbox
from bridge.store.voices import SqlVoices


class SqlStore(SqlCalls, SqlOutbox, SqlEndpoints, SqlKeys, SqlVoices, SqlAccounts):
    """The `Store` port. Faults of the database are StoreError, and worth another try."""

    async def ping(self) -> None:
        insert = self._db.insert(tables.heartbeat)
        beat = insert.on_conflict_do_update(index_elements=["id"], set_={"at": insert.excluded.at})
        row = {"id": 1, "at": self._clock.now()}
        await self._db.write(lambda connection: connection.execute(beat, row))

    async def close(self) -> None:
        """What is under way ends first."""
        await self._db.close()

    async def check_cipher(self) -> None:
        """Raises SetupError when the endpoints' secrets were encrypted with a key that is not here."""
        query = select(tables.endpoints).limit(1)
        for row in await self._db.read(lambda connection: connection.execute(query).mappings().all()):
            codec.endpoint_of(row, self._cipher)


async def open_store(database_url: str, cipher: Cipher, clock: Clock, *, node: str | None = None) -> Store:
    """Open `sqlite:///FILE` or `postgresql://…`, making or migrating the tables first. Processes may do so at once.

    `node`: this server, when others share the database and take over what it leaves.

    Raises SetupError for what only a person can put right, StoreError when the database does not answer.
    """
    await migrate(database_url)
    store = SqlStore(database_at(database_url), cipher, clock, node)
    try:
        await store.check_cipher()
    except BaseException:
        await store.close()
        raise
    return store
