"""A real server that takes tones for words; other services' own SDKs talk to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.real_server import RealServer, hear_tones, real_server


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RealServer]:
    hear_tones(monkeypatch)
    async with real_server(tmp_path, allow_private_urls="127.0.0.0/8") as running:
        yield running
