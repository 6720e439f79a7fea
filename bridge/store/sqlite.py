"""SQLite: one file, one writer, readers beside it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement, Connection, Table, create_engine, event, literal, text
from sqlalchemy.dialects import sqlite

from bridge.errors import SetupError, StoreError
from bridge.ports import Clock
from bridge.store.database import faults
from bridge.store.terms import SqliteTerms, TermIndex

Answer = TypeVar("Answer")

READERS: Final = 4
BUSY_TIMEOUT_MS: Final = 10_000
"""How long a writer waits for one of another process."""

AGAIN_S: Final = 0.01
"""After this long we look again, where SQLite itself does not wait."""

MERGED_AT_ONCE: Final = 200
"""Pages of the word index in one transaction: calls in progress wait for it."""

PRAGMAS: Final = (
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
    "PRAGMA synchronous = FULL",  # what was committed survives a power cut
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",  # what was deleted is overwritten; not every build does so by itself
)


class SqliteDatabase:
    """The `Database` port on a file.

    A whole transaction runs in one turn of a thread. Writers stand in line for the single writing thread, which costs
    no polling and is fair; both lines are as long as the callers that wait in them.
    """

    terms: TermIndex = SqliteTerms()

    def __init__(self, path: Path) -> None:
        """Raises SetupError when the file cannot be made."""
        _make_file(path)
        self._engine = create_engine(
            f"sqlite:///{path}",
            pool_size=READERS + 1,
            max_overflow=0,
            hide_parameters=True,  # an exception's text must not hold what people said
        )
        event.listen(self._engine, "connect", _connected)
        event.listen(self._engine, "begin", _begin)
        self._merging = False
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="sqlite-writer")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="sqlite-reader")

    async def read(self, work: Callable[[Connection], Answer]) -> Answer:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._transaction, work, False)

    async def write(self, work: Callable[[Connection], Answer]) -> Answer:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writer, self._transaction, work, True)

    async def reshape(self, work: Callable[[Connection], Answer]) -> Answer:
        """Without foreign keys meanwhile: a table that is made anew would take along all that points at it."""

        def checked(connection: Connection) -> Answer:
            found = work(connection)
            if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all():
                raise StoreError(f"{len(broken)} rows point at none, the first in {broken[0][0]}")
            return found

        event.listen(self._engine, "connect", _without_foreign_keys)
        return await self.write(checked)

    async def scrub(self) -> bool:
        """The word index keeps what was deleted until it is merged, the write-ahead log until it is cut off."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, self._scrub)

    def _scrub(self) -> bool:
        # sqlite.org/fts5.html, "The 'merge' Command": a negative count begins to merge all there is, positive ones go
        # on with it, and fewer than two changes say that it is done.
        pages = MERGED_AT_ONCE if self._merging else -MERGED_AT_ONCE
        merge = text("INSERT INTO call_terms (call_terms, rank) VALUES ('merge', :pages)")
        with faults(), self._engine.connect() as connection:
            raw: Any = connection.connection.driver_connection
            connection.execution_options(immediate=True)
            before = raw.total_changes
            with connection.begin():
                connection.execute(merge, {"pages": pages})
            self._merging = raw.total_changes - before >= 2
            if not self._merging:
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return self._merging

    def _transaction(self, work: Callable[[Connection], Answer], immediate: bool) -> Answer:
        with faults(), self._engine.connect() as connection:
            connection.execution_options(immediate=immediate)
            with connection.begin():
                return work(connection)

    def time(self, clock: Clock) -> ColumnElement[float]:
        return literal(clock.now())

    def insert(self, table: Table) -> sqlite.Insert:
        return sqlite.insert(table)

    async def close(self) -> None:
        for threads in (self._writer, self._readers):
            await asyncio.to_thread(threads.shutdown)
        self._engine.dispose()


def _make_file(path: Path) -> None:
    """Make the file ourselves: what callers say is for its owner alone, and SQLite's side files take its mode."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise SetupError(f"cannot open the database {path}: {error.strerror}") from error


def _connected(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
    for pragma in PRAGMAS:
        connection.execute(pragma)
    _log_ahead(connection)


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Readers and the writer do not wait for each other then. Who turns a new file to it while others do is refused at
    once, whatever `busy_timeout` says, so that we wait ourselves.
    """
    give_up_at = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY  # the kinds of busy are above the byte
            if not is_busy or time.monotonic() > give_up_at:
                raise
            time.sleep(AGAIN_S)
        else:
            return


def _without_foreign_keys(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA foreign_keys = OFF")


def _begin(connection: Connection) -> None:
    # A transaction that will write takes the lock at once: a reader that turns writer half-way may be refused.
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
