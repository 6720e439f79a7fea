"""The stores that the contract suite runs over: SQLite always, PostgreSQL where one answers."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from bridge.ports import Store
from bridge.store.cipher import Cipher
from bridge.store.sql import open_store
from tests.clock import VirtualClock
from tests.databases import lay_tables

POSTGRES = os.environ.get("CALLBRIDGE_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432")


async def run_sql(database: str, statement: str) -> None:
    connection = await asyncpg.connect(f"{POSTGRES}/{database}", timeout=3)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A fresh database for this run of the tests."""
    name = f"callbridge_test_{secrets.token_hex(6)}"
    try:
        asyncio.run(run_sql("postgres", f"CREATE DATABASE {name}"))
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        pytest.skip(f"no PostgreSQL at {POSTGRES} (CALLBRIDGE_TEST_POSTGRES): {error}")
    yield f"{POSTGRES}/{name}"
    asyncio.run(run_sql("postgres", f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database's address, on each engine."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/callbridge.db"
        return
    url: str = request.getfixturevalue("postgres_url")
    yield url
    asyncio.run(run_sql(url.rpartition("/")[2], "DROP SCHEMA public CASCADE; CREATE SCHEMA public"))


@pytest.fixture
async def store(database_url: str, tmp_path: Path, clock: VirtualClock) -> AsyncIterator[Store]:
    if database_url.startswith("sqlite"):
        lay_tables(tmp_path / "callbridge.db")
    opened = await open_store(database_url, Cipher(["test key"]), clock)
    yield opened
    await opened.close()
