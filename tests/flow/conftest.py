from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bridge.ports import Clock, Store
from bridge.settings import Settings
from tests.clock import VirtualClock
from tests.http_server import HttpServer
from tests.media_server import MediaServer, ServeMedia, start_media_server


@pytest.fixture
async def serve_media() -> AsyncIterator[ServeMedia]:
    """Start a media server with the given settings (and `clock`); it stops with the test."""
    started: list[MediaServer] = []

    async def serve(*, clock: Clock | None = None, **given: Any) -> MediaServer:
        started.append(await start_media_server(clock, **given))
        return started[-1]

    yield serve
    for running in started:
        await running.close()


@pytest.fixture
async def http(sqlite_store: Store, clock: VirtualClock) -> AsyncIterator[HttpServer]:
    """The HTTP face over a store of its own, for tenants `acme` and `rival`."""
    async with HttpServer(sqlite_store, clock, Settings()) as server:
        yield server
