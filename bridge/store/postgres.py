"""PostgreSQL, for any number of processes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar

from sqlalchemy import URL, ColumnElement, Connection, Double, Table, cast, extract, func
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bridge.errors import SetupError
from bridge.ports import Clock
from bridge.store.database import faults
from bridge.store.terms import PostgresTerms, TermIndex

Answer = TypeVar("Answer")

CONNECTIONS: Final = 10
WAIT_S: Final = 30.0
"""For a connection; and for any one statement."""


class PostgresDatabase:
    """The `Database` port on a server."""

    terms: TermIndex = PostgresTerms()

    def __init__(self, url: URL) -> None:
        """Raises SetupError when the driver is not installed."""
        try:
            self._engine = create_async_engine(
                _for_asyncpg(url),
                pool_size=CONNECTIONS,
                max_overflow=0,
                pool_timeout=WAIT_S,
                pool_pre_ping=True,  # a server that was restarted costs no request
                hide_parameters=True,  # an exception's text must not hold what people said
                connect_args={"command_timeout": WAIT_S, "server_settings": {"application_name": "callbridge"}},
            )
        except ModuleNotFoundError as error:
            raise SetupError(
                f"a postgresql:// database needs {error.name}: pip install 'callbridge[postgres]'"
            ) from error
        self._reading = self._engine.execution_options(isolation_level="REPEATABLE READ")
        """The same connections; all statements of a question see one moment."""
        self._running: set[asyncio.Task[Any]] = set()

    async def read(self, work: Callable[[Connection], Answer]) -> Answer:
        return await self._in_a_task(work, self._reading)

    async def write(self, work: Callable[[Connection], Answer]) -> Answer:
        return await self._in_a_task(work, self._engine)

    async def _in_a_task(self, work: Callable[[Connection], Answer], engine: AsyncEngine) -> Answer:
        """A task of its own: a cancelled statement would cost its connection."""
        task = asyncio.create_task(self._transaction(work, engine))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def reshape(self, work: Callable[[Connection], Answer]) -> Answer:
        return await self.write(work)

    async def scrub(self) -> bool:
        """Nothing: the server vacuums its own files."""
        return False

    async def _transaction(self, work: Callable[[Connection], Answer], engine: AsyncEngine) -> Answer:
        with faults():
            async with engine.connect() as connection, connection.begin():
                return await connection.run_sync(work)

    def time(self, clock: Clock) -> ColumnElement[float]:
        del clock
        return cast(extract("epoch", func.clock_timestamp()), Double)

    def insert(self, table: Table) -> postgresql.Insert:
        return postgresql.insert(table)

    async def close(self) -> None:
        if self._running:
            await asyncio.wait(self._running)
        await self._engine.dispose()


def _for_asyncpg(url: URL) -> URL:
    """The name is libpq's `sslmode` to people, `ssl` to asyncpg; the values are the same."""
    query = dict(url.query)
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    return url.set(drivername="postgresql+asyncpg", query=query)
