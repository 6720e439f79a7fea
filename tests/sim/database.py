"""The product's own store over memory: one database, made anew for each seed."""

from __future__ import annotations

import sqlite3
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import StaticPool, create_engine, event

from bridge.errors import StoreError
from bridge.store import migrate
from bridge.store.sqlite import SqliteDatabase, _begin
from tests.sim.loop import Threads

if TYPE_CHECKING:
    from tests.sim.world import World


@cache
def template() -> bytes:
    """A database with its tables, made by the product's own migrations."""
    empty = create_engine("sqlite://", poolclass=StaticPool)
    event.listen(empty, "begin", _begin)
    with empty.connect() as connection:
        connection.execution_options(immediate=True)
        with connection.begin():
            migrate.upgrade(connection)
        raw: Any = connection.connection.dbapi_connection
        found: bytes = raw.serialize()
    return found


@cache
def engine() -> Any:
    """One connection for all seeds of a process: what statements compile to is kept."""
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}, hide_parameters=True
    )

    def connected(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", _begin)
    return engine


class SimDatabase(SqliteDatabase):
    """The product's own, over memory: refuses, or keeps and does not say so."""

    def __init__(self, world: World) -> None:
        self._engine = engine()
        self._merging = False
        self._writer: Any = Threads(1)
        self._readers: Any = Threads(4)
        self._world = world

    def _transaction(self, work: Any, immediate: bool) -> Any:
        world = self._world
        chance = 1.0 if world.calm else world.rng.random()
        if chance < world.plan.store_refuses:
            raise StoreError("the database is away")
        found = super()._transaction(work, immediate)
        if immediate and chance > 1 - world.plan.store_forgets and not world.calm:
            raise StoreError("the connection broke before the answer came")
        return found

    async def close(self) -> None: ...
