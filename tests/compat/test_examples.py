"""The sample apps as their readers run them: a page gets its token, a recording is sent, its words come by webhook."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge.client import AsyncClient, RequestValidator
from tests.compat.vocafuse_browser import send
from tests.real_server import KEY, RealServer
from tests.recorded import channels, file_of, said_in_turn

ROOT = Path(__file__).parents[2]
WAV = file_of("wav", channels())
SECRET = "the secret of the sample apps"
PATIENCE_S = 20


@asynccontextmanager
async def running(name: str, server: RealServer) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    """The app as a process of its own, answering: where it is, and a page of it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = {
        "CALLBRIDGE_URL": server.url,
        "CALLBRIDGE_API_KEY": KEY,
        "CALLBRIDGE_WEBHOOK_SECRET": SECRET,
        "PORT": str(port),
        "PYTHONPATH": str(ROOT),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, f"examples/{name}_app.py", cwd=ROOT, env={**os.environ, **told}
    )
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as page:
            await answer(page, lambda found: True)
            yield f"http://127.0.0.1:{port}", page
    finally:
        process.kill()
        await process.wait()


async def answer(page: aiohttp.ClientSession, is_good: Any) -> Any:
    """What `/transcripts` says once it is good."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                async with page.get("/transcripts") as response:
                    if is_good(found := await response.json()):
                        return found
            except aiohttp.ClientConnectorError:
                pass
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("name", ["flask", "django", "fastapi"])
async def test_sample_app(server: RealServer, name: str) -> None:
    """Its token is good for its own user, its webhook takes what is ours and nothing else."""
    for package in (name, *(["uvicorn"] if name == "fastapi" else [])):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install {package}")
    async with running(name, server) as (url, page):
        async with AsyncClient(KEY, base_url=server.url) as client:
            await client.webhooks.create(f"{url}/webhooks", ["recording.transcribed"], SECRET)
        async with page.post("/api/token") as response:
            made = await response.json()
        recording_id = await send(server, made["token"], WAV)
        found = (await answer(page, lambda found: recording_id in found))[recording_id]
        assert found["identity"] == "user_7"
        assert found["transcription"]["text"].split() == said_in_turn()

        forged = '{"event":"recording.transcribed","recording":{"id":"forged"}}'
        wrong = RequestValidator("another").compute_signature(forged)
        for headers in ({}, {"X-VocaFuse-Signature": f"sha256={wrong}"}):
            async with page.post("/webhooks", data=forged, headers=headers) as response:
                assert response.status == 401
        assert list(await answer(page, lambda found: True)) == [recording_id]
