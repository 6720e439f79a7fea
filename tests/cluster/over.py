"""A pytest plugin: the tests of one machine's server over PostgreSQL, Redis and Ray, without a change in them.

A database in a file becomes one in PostgreSQL, which several may share; events in memory become Redis's; and tones are
read by the replicas of a Ray cluster. `python -m tests.cluster.flow` starts those, and pytest with this.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from collections.abc import Iterator
from typing import Any, Final

import asyncpg
import pytest
import redis

from bridge import node, recovery, settings
from bridge.clock import SystemClock
from bridge.ports import Clock, Decoded, DecodeJob, Store
from bridge.recognise.remote import RemoteEngine
from bridge.store import sql
from bridge.store.cipher import Cipher
from bridge.store.migrate import migrate
from tests import tones
from tests.cluster.nodes import LEASE_S

POSTGRES: Final = "CALLBRIDGE_OVER_POSTGRES"
REDIS: Final = "CALLBRIDGE_OVER_REDIS"
RAY: Final = "CALLBRIDGE_OVER_RAY"
FILE: Final = "sqlite:///"

LEFT_OUT: Final = (
    "test_discretion.py::test_a_whole_call_is_not_in_the_log",
    "test_http_drain.py::test_a_first_start_makes_what_it_needs_for_its_owner_alone",
    "test_retention.py::test_no_trace_is_left_in_the_files",
)
"""What looks into SQLite's file."""
TEMPLATE: Final = "flow_template"

_open_store = sql.open_store
_settings_of = settings.Settings.__init__
_made: list[str] = []


def _database_for(url: str) -> str:
    """What stands for a database in a file."""
    if not url.startswith(FILE):
        return url
    return f"{os.environ[POSTGRES]}/flow_{hashlib.sha256(url.encode()).hexdigest()[:24]}"


async def _make(url: str) -> None:
    """Make the database, unless it is there, of one that has its tables already."""
    template = f"{os.environ[POSTGRES]}/{TEMPLATE}"
    for missing, how in ((template, ""), (url, f"TEMPLATE {TEMPLATE}")):
        if missing not in _made:
            _made.append(missing)
            await _ask(f"CREATE DATABASE {_name(missing)} {how}")
            if missing == template:
                await migrate(template)


async def _drop(kept: int) -> None:
    """All but the first ones: seven megabytes each. The very first is the template."""
    while len(_made) > max(kept, 1):
        await _ask(f"DROP DATABASE {_name(_made.pop())} WITH (FORCE)")


def _name(url: str) -> str:
    return url.rpartition("/")[2]


async def _ask(statement: str) -> None:
    connection = await asyncpg.connect(f"{os.environ[POSTGRES]}/postgres")
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _open_over_postgres(url: str, cipher: Cipher, clock: Clock, **more: Any) -> Store:
    url = _database_for(url)
    await _make(url)
    return await _open_store(url, cipher, clock, **more)


def _over_services(self: settings.Settings, **given: Any) -> None:
    if str(given.get("database_url", "")).startswith(FILE):
        given = {"events_url": os.environ[REDIS]} | given | {"database_url": _database_for(given["database_url"])}
    _settings_of(self, **given)


async def _decode_over_ray(engine: tones.ToneEngine, job: DecodeJob) -> Decoded | None:
    del engine
    remote = RemoteEngine(os.environ[RAY], SystemClock())
    try:
        return await remote.decode(job)
    finally:
        await remote.close()


def pytest_configure(config: pytest.Config) -> None:
    """Before anything that is tested is imported, which takes these by their names."""
    assert "bridge.app" not in sys.modules
    sql.open_store = _open_over_postgres
    settings.Settings.__init__ = _over_services  # type: ignore[method-assign, assignment]
    tones.ToneEngine.decode = _decode_over_ray  # type: ignore[method-assign]
    left = "Exception ignored in. <function Connection.__del__"  # who is killed says goodbye to no database
    config.addinivalue_line("filterwarnings", f"ignore:{left}:pytest.PytestUnraisableExceptionWarning")
    node.LEASE_S, node.BEAT_S, recovery.LOOK_AT_OTHERS_S = LEASE_S, LEASE_S / 5, LEASE_S / 5  # type: ignore[misc]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = [item for item in items if any(name in item.nodeid for name in LEFT_OUT)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(autouse=True, scope="module")
def nothing_is_left_of_a_file() -> Iterator[None]:
    yield
    asyncio.run(_drop(1))


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Of the test alone: a server may be that of all tests of its file. Tests give their calls the same names."""
    before = len(_made)
    yield
    asyncio.run(_drop(before))
    with redis.Redis.from_url(os.environ[REDIS]) as client:
        client.flushdb()
