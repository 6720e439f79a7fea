"""What every test may ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from bridge.ports import Store
from bridge.store.cipher import Cipher
from bridge.store.sql import open_store
from tests.clock import VirtualClock
from tests.databases import lay_tables

pytest_plugins = ("tests.features",)

settings.register_profile("unhurried", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")  # a busy machine is no fault of what is tested


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def sqlite_store(tmp_path: Path, clock: VirtualClock) -> AsyncIterator[Store]:
    """A store of its own, in a file that goes with the test."""
    lay_tables(tmp_path / "callbridge.db")
    store = await open_store(f"sqlite:///{tmp_path}/callbridge.db", Cipher(["test key"]), clock)
    yield store
    await store.close()
