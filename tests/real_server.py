"""The whole server on a free port, as `callbridge serve` puts it together; only the recogniser is a stand-in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge import app as app_module
from bridge import call as call_module
from bridge.app import build
from bridge.clock import SystemClock
from bridge.settings import Settings
from bridge.web.context import CONTEXT, Context
from tests.databases import lay_tables
from tests.tones import ToneEngine, tone_segmenter

KEY = "cbk_the-key-of-the-tests"
PATIENCE_S = 20


@dataclass
class RealServer:
    """Where it is, and a client with its key."""

    url: str
    context: Context
    session: aiohttp.ClientSession
    folder: Path
    app: web.Application

    @property
    def ws_url(self) -> str:
        return self.url.replace("http", "ws", 1)

    async def json(self, method: str, path: str, *, status: int = 200, **given: Any) -> Any:
        """The body of an answer that must have this status."""
        async with self.session.request(method, path, **given) as response:
            text = await response.text()
            assert response.status == status, text
            return await response.json()

    async def fault(self, method: str, path: str, *, status: int, **given: Any) -> dict[str, Any]:
        error: dict[str, Any] = (await self.json(method, path, status=status, **given))["error"]
        return error


@asynccontextmanager
async def real_server(
    folder: Path, *, engine: Any = None, port: int | None = None, **given: Any
) -> AsyncIterator[RealServer]:
    """`given` are settings. What it keeps is in `folder`, so that another one can follow, at the same `port` too."""
    settings = Settings(
        **{
            "database_url": f"sqlite:///{folder}/callbridge.db",
            "spool_dir": folder / "spool",
            "secret_key": "a key for tests",
            "bootstrap_key": KEY,
            "language": "en",
            **given,
        }
    )
    if "database_url" not in given:
        lay_tables(folder / "callbridge.db")
    app = build(settings, SystemClock(), engine or ToneEngine())
    async with TestServer(app, host="127.0.0.1", port=port, shutdown_timeout=1) as server:
        url = str(server.make_url("")).rstrip("/")
        timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
        own = {"Authorization": f"Bearer {KEY}"}
        async with aiohttp.ClientSession(url, headers=own, timeout=timeout) as session:
            yield RealServer(url, app[CONTEXT], session, folder, app)


def hear_tones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tones pass for speech, in calls and in recordings."""
    monkeypatch.setattr(call_module, "Segmenter", tone_segmenter)
    monkeypatch.setattr(app_module, "Segmenter", tone_segmenter)
