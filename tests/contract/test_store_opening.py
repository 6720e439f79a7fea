"""Opening a store: tables made once, by whoever comes first; secrets unreadable without the key."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from bridge.errors import SetupError, StoreError
from bridge.model.records import CallFilter, DeliveryFilter
from bridge.spool.presence import Presence
from bridge.store.address import database_at
from bridge.store.cipher import Cipher
from bridge.store.migrate import upgrade
from bridge.store.sql import open_store
from bridge.store.sqlite import SqliteDatabase
from bridge.store.tables import metadata
from tests.clock import VirtualClock
from tests.contract.builders import an_endpoint
from tests.story import Story, started

Answer = TypeVar("Answer")

OPEN = """
import asyncio, sys
from bridge.clock import SystemClock
from bridge.store.cipher import Cipher
from bridge.store.sql import open_store

async def main():
    store = await open_store(sys.argv[1], Cipher(["test key"]), SystemClock())
    await store.ping()
    await store.close()

asyncio.run(main())
"""


async def in_database(database_url: str, work: Callable[[Connection], Answer]) -> Answer:
    """One transaction beside the store."""
    database = database_at(database_url)
    try:
        return await database.write(work)
    finally:
        await database.close()


async def test_processes_that_start_at_once(database_url: str, clock: VirtualClock) -> None:
    """Several may open an empty database together: all succeed, and the tables are there once."""
    starting = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", OPEN, database_url], stderr=subprocess.PIPE)  # noqa: ASYNC220, S603
        for _ in range(4)
    ]
    said = [await asyncio.to_thread(process.communicate) for process in starting]
    for process, (_, errors) in zip(starting, said, strict=True):
        assert process.returncode == 0, errors.decode()
    store = await open_store(database_url, Cipher(["test key"]), clock)
    await store.append(Story().tell(started()))
    await store.close()


async def test_migrations_make_the_tables_that_the_code_expects(database_url: str, clock: VirtualClock) -> None:
    """Nothing is left for a migration to do; the word index, which differs by engine, is made beside them."""
    store = await open_store(database_url, Cipher(["test key"]), clock)
    await store.close()

    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_name": lambda name, kind, _: not (name or "").startswith("call_terms"),
                "compare_type": True,
            },
        )
        return list(compare_metadata(context, metadata))

    assert await in_database(database_url, differences) == []


async def test_a_newer_callbridges_database(database_url: str, clock: VirtualClock) -> None:
    """It is left alone, and the error says what to do."""
    await (await open_store(database_url, Cipher(["test key"]), clock)).close()
    newer = text("UPDATE alembic_version SET version_num = '9999'")
    await in_database(database_url, lambda connection: connection.execute(newer))
    with pytest.raises(SetupError, match="newer callbridge"):
        await open_store(database_url, Cipher(["test key"]), clock)


async def test_a_database_of_the_first_version(database_url: str, clock: VirtualClock) -> None:
    """Its calls are there with all that belongs to them, the words and the deliveries, and go together."""
    everything = """
        INSERT INTO calls VALUES (7, 'c', 'acme', 'twilio', 'CA', '[]', 'PCMU', 8000, '{}', 'completed', 1, 2, 'closed',
                                  NULL, 9, {true}, 3);
        INSERT INTO events VALUES (7, 1, 'evt', 'call.ended', 2, '{"reason":"closed","duration_ms":9}');
        INSERT INTO segments VALUES (7, 'caller', 1, 0, 9, 'hello', 'en', 1, '[]', NULL);
        INSERT INTO call_terms {terms};
        INSERT INTO endpoints SELECT 'we', 'acme', 'https://x', '["*"]', '{secrets}', {true}, 1, '', NULL, NULL;
        INSERT INTO deliveries VALUES ('msg', 'acme', 'we', 'c', 'call.completed', '{}', 'pending', 2, 2, 1);
        INSERT INTO attempts VALUES ('msg', 2, 1, 500, NULL, 12)
    """
    sqlite = database_url.startswith("sqlite")
    given = {
        "{true}": "1" if sqlite else "true",
        "{terms}": "(rowid, terms) VALUES (7, 'hello')" if sqlite else "VALUES (7, ARRAY['hello'])",
        "{secrets}": Cipher(["test key"]).encrypt('["whsec_MDEyMzQ1"]'),
    }
    for name, value in given.items():
        everything = everything.replace(name, value)

    def first_version(connection: Connection) -> None:
        upgrade(connection, "0001")
        for statement in everything.split(";"):
            connection.exec_driver_sql(statement)

    await in_database(database_url, first_version)
    store = await open_store(database_url, Cipher(["test key"]), clock)
    [call] = (await store.calls("acme", CallFilter(text="hello"), cursor=None, limit=9)).calls
    assert call == await store.call("acme", "c")
    assert [event.id for event in await store.events("acme", "c", after=0, limit=9)] == ["evt"]
    assert [said.text for said in await store.segments("acme", "c")] == ["hello"]
    [delivery] = (await store.deliveries("acme", "we", DeliveryFilter(), limit=9)).deliveries
    assert (delivery.call_id, delivery.attempts[0].status) == ("c", 500)
    await store.append(Story("c", "other").tell(started()))
    await store.delete_call("acme", "c")
    assert (await store.deliveries("acme", "we", DeliveryFilter(), limit=9)).deliveries == ()
    await store.close()


async def test_webhook_secrets_at_rest(database_url: str, clock: VirtualClock) -> None:
    """They are not in the database in plain; another key cannot read them; a replaced key still can."""
    store = await open_store(database_url, Cipher(["first"]), clock)
    await store.create_endpoint(an_endpoint(secrets=("whsec_open sesame",)))
    await store.close()

    everything = text("SELECT * FROM endpoints")
    [row] = await in_database(database_url, lambda connection: connection.execute(everything).all())
    assert "sesame" not in str(row)

    with pytest.raises(SetupError, match="CALLBRIDGE_SECRET_KEY"):
        await open_store(database_url, Cipher(["second"]), clock)
    store = await open_store(database_url, Cipher(["second", "first"]), clock)
    assert (await store.endpoint("acme", "we_1")).secrets == ("whsec_open sesame",)
    await store.update_endpoint("acme", "we_1", {"secrets": ("whsec_new",)})
    await store.close()
    store = await open_store(database_url, Cipher(["second"]), clock)
    assert (await store.endpoint("acme", "we_1")).secrets == ("whsec_new",)
    await store.close()


async def test_what_was_kept_is_there_after_a_restart(database_url: str, clock: VirtualClock) -> None:
    """Another store on the same database reads the same."""
    store = await open_store(database_url, Cipher(["test key"]), clock)
    await store.append(Story().tell(started()))
    before = await store.call("acme", "call-1")
    await store.close()
    store = await open_store(database_url, Cipher(["test key"]), clock)
    assert await store.call("acme", "call-1") == before
    await store.close()


async def test_a_database_that_does_not_answer(clock: VirtualClock) -> None:
    """It is an outage, not a crash."""
    with pytest.raises(StoreError):
        await open_store("postgresql://nobody@127.0.0.1:9/none", Cipher(["test key"]), clock)


async def test_a_healthy_store_answers_a_ping(database_url: str, clock: VirtualClock) -> None:
    """Twice, as the second one changes what the first one made."""
    store = await open_store(database_url, Cipher(["test key"]), clock)
    await store.ping()
    await store.ping()
    await store.close()


async def test_sqlite_is_safe_and_private(tmp_path: Path, clock: VirtualClock) -> None:
    """The file is its owner's alone, and what was committed is on disk: write-ahead log, full sync, foreign keys."""
    path = tmp_path / "new" / "folder" / "callbridge.db"
    store = await open_store(f"sqlite:///{path}", Cipher(["test key"]), clock)
    await store.append(Story().tell(started()))
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    await store.close()

    def settings(connection: Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        return [connection.execute(text(f"PRAGMA {name}")).scalar() for name in names]

    assert await in_database(f"sqlite:///{path}", settings) == ["wal", 2, 1, 10_000]


async def test_who_makes_a_sqlite_file_together(tmp_path: Path) -> None:
    """All at the same moment: SQLite refuses one of two that turn a new file to a write-ahead log."""
    for attempt in range(40):
        databases = [SqliteDatabase(tmp_path / f"{attempt}.db") for _ in range(4)]
        start = threading.Barrier(len(databases))
        found = await asyncio.gather(
            *(asyncio.to_thread(_first_read, database, start) for database in databases), return_exceptions=True
        )
        for database in databases:
            await database.close()
        assert found == ["wal"] * len(databases)


def _first_read(database: SqliteDatabase, start: threading.Barrier) -> object:
    start.wait()
    return asyncio.run(database.read(lambda connection: connection.execute(text("PRAGMA journal_mode")).scalar()))


async def test_sqlite_in_the_spool_s_folder(tmp_path: Path, clock: VirtualClock) -> None:
    """Which is locked as long as the server lives."""
    presence = Presence(tmp_path)
    async with asyncio.timeout(5):
        store = await open_store(f"sqlite:///{tmp_path}/callbridge.db", Cipher(["test key"]), clock)
        await store.ping()
        await store.close()
    presence.leave()


async def test_a_sqlite_writer_waits_for_another_process(tmp_path: Path, clock: VirtualClock) -> None:
    """While somebody else writes, ours waits its turn; a database that cannot be written is an outage."""
    path = tmp_path / "callbridge.db"
    store = await open_store(f"sqlite:///{path}", Cipher(["test key"]), clock)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(store.append(Story().tell(started())))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    assert await store.unfinished() == []
    other.execute("COMMIT")
    other.execute("PRAGMA busy_timeout = 10000")
    await waiting
    other.execute("ALTER TABLE heartbeat RENAME TO gone")
    other.close()
    with pytest.raises(StoreError):
        await store.ping()
    await store.close()


@pytest.mark.parametrize("url", ["sqlite:///:memory:", "sqlite:///", "sqlite:////proc/none/callbridge.db"])
async def test_sqlite_addresses_that_cannot_keep_anything(url: str, clock: VirtualClock) -> None:
    """A store must survive a restart: it needs a file that can be made."""
    with pytest.raises(SetupError):
        await open_store(url, Cipher(["test key"]), clock)
