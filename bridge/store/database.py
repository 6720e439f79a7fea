"""A connection to SQLite or PostgreSQL: transactions, and the database's faults in our words."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Table, event, exc, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from bridge.errors import InvalidRequestError, SetupError, StoreError

BUSY_TIMEOUT_S: Final = 10.0
POOL_SIZE: Final = 8
POOL_WAIT_S: Final = 30.0
COMMAND_TIMEOUT_S: Final = 60.0

PRAGMAS: Final = (
    f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}",
    "PRAGMA journal_mode = WAL",  # readers and the writer do not wait for each other
    "PRAGMA synchronous = FULL",  # what was committed survives a power cut
    "PRAGMA foreign_keys = ON",
)


class Database:
    """Transactions on one database. Faults come out as StoreError (try again) or InvalidRequestError (never will)."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self.is_sqlite: Final[bool] = engine.dialect.name == "sqlite"
        # SQLite has one writer. Waiting for it in line here costs no polling, and is fair.
        self._writing = asyncio.Lock() if self.is_sqlite else None

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """One consistent look."""
        with faults():
            async with self._engine.connect() as connection, connection.begin():
                yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """One transaction; committed when the block ends well, undone when it raises."""
        with faults():
            async with self._writing or nullcontext(), self._engine.connect() as connection:
                await connection.execution_options(immediate=True)
                async with connection.begin():
                    yield connection

    def insert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        """An INSERT that may say what to do `on_conflict`; the engines spell it alike."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    async def close(self) -> None:
        await self._engine.dispose()


@contextmanager
def faults() -> Iterator[None]:
    """The driver's exceptions in our words."""
    try:
        yield
    except UnicodeEncodeError as error:  # half a surrogate pair
        raise InvalidRequestError(f"the database does not take this text: {error.reason}") from error
    except (exc.DBAPIError, exc.TimeoutError, OSError) as error:
        if isinstance(error, exc.DBAPIError) and _is_about_a_value(error):
            raise InvalidRequestError(f"the database does not take this value: {_cause(error)}") from error
        raise StoreError(f"database: {_cause(error)}") from error


def _is_about_a_value(error: exc.DBAPIError) -> bool:
    """SQLSTATE class 22 is a data exception (a NUL in PostgreSQL's text), 54 a value over some limit."""
    return str(getattr(error.orig, "sqlstate", ""))[:2] in {"22", "54"} or isinstance(error, exc.DataError)


def _cause(error: BaseException) -> str:
    """The driver's own words, without the statement: that may hold what people said."""
    origin = error.orig if isinstance(error, exc.DBAPIError) and error.orig is not None else error
    return f"{type(origin).__name__}: {origin}".splitlines()[0]


def connect(database_url: str, *, pooled: bool = True) -> AsyncEngine:
    """An engine for `sqlite:///FILE` or `postgresql://…`. Opens nothing yet, besides making the file.

    Raises SetupError when the folder cannot be made or the driver is not installed.
    """
    url = make_url(database_url)
    options: dict[str, Any] = {"hide_parameters": True}  # an exception's text must not hold what people said
    if pooled:
        options |= {"pool_size": POOL_SIZE, "max_overflow": 0, "pool_timeout": POOL_WAIT_S}
    else:
        options |= {"poolclass": NullPool}
    if url.get_backend_name() == "sqlite":
        _make_file(url)
        engine = create_async_engine(url.set(drivername="sqlite+aiosqlite"), **options)
        _tune_sqlite(engine)
        return engine
    try:
        return create_async_engine(_for_asyncpg(url), pool_pre_ping=pooled, connect_args=_POSTGRES, **options)
    except ModuleNotFoundError as error:
        raise SetupError(f"a postgresql:// database needs {error.name}: pip install 'callbridge[postgres]'") from error


_POSTGRES: Final = {"command_timeout": COMMAND_TIMEOUT_S, "server_settings": {"application_name": "callbridge"}}


def _for_asyncpg(url: URL) -> URL:
    """The name is libpq's `sslmode` to people, `ssl` to asyncpg; the values are the same."""
    query = dict(url.query)
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    return url.set(drivername="postgresql+asyncpg", query=query)


def sqlite_file(database_url: str) -> Path | None:
    """The file of a SQLite address; None for another engine's."""
    url = make_url(database_url)
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def _make_file(url: URL) -> None:
    """Make the file ourselves: what callers say is for its owner alone, and SQLite's side files take its mode."""
    if not url.database or url.database == ":memory:":
        raise SetupError("a SQLite database needs a file: sqlite:///var/callbridge.db")
    path = Path(url.database)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise SetupError(f"cannot open the database {path}: {error.strerror}") from error


def _tune_sqlite(engine: AsyncEngine) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin where we say, not where the driver guesses
        cursor = connection.cursor()
        for pragma in PRAGMAS:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that will write takes the lock at once: a reader that turns writer half-way may be refused.
        immediate = connection.get_execution_options().get("immediate", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
