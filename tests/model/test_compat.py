"""Other services' SDKs on the real recogniser: the words that were said."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.bench.calls import read_fixture
from bridge.bench.score import word_errors
from bridge.clock import SystemClock
from bridge.recognise.local import open_engine
from bridge.settings import load
from tests.real_server import KEY, RealServer, real_server

pytestmark = pytest.mark.model

FIXTURE = Path(__file__).parents[2] / "fixtures" / "audio" / "one-leg.wav"
MOST_WRONG = 0.1


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RealServer]:
    engine = open_engine(load(), SystemClock())
    async with real_server(tmp_path, engine=engine) as running:
        yield running
    await engine.close()


def wrong(told: str) -> float:
    [reference] = [text for text in read_fixture(FIXTURE).texts.values() if text]
    return word_errors(reference, told).rate


async def test_openai(server: RealServer) -> None:
    """A recording."""
    openai = pytest.importorskip("openai", reason="the SDK is not installed: pip install openai")
    async with openai.AsyncOpenAI(api_key=KEY, base_url=f"{server.url}/v1", max_retries=0) as client:
        file = ("a.wav", io.BytesIO(FIXTURE.read_bytes()))
        told = await client.audio.transcriptions.create(model="whisper-1", file=file)
    assert wrong(told.text) <= MOST_WRONG, told.text


async def test_deepgram_live(server: RealServer) -> None:
    """A stream, faster than it was spoken."""
    pytest.importorskip("deepgram", reason="the SDK is not installed: pip install deepgram-sdk")
    from tests.compat.deepgram_client import pointed  # noqa: PLC0415  # it imports the SDK

    said: list[str] = []
    async with (
        pointed(server, api_key=KEY) as client,
        client.listen.v1.connect(model="nova-3", smart_format=True) as connection,
    ):
        data = FIXTURE.read_bytes()
        for at in range(0, len(data), 4000):
            await connection.send_media(data[at : at + 4000])
        await connection.send_close_stream()
        while (told := await connection.recv()).type != "Metadata":
            if told.type == "Results" and told.is_final:
                said.append(told.channel.alternatives[0].transcript)
    assert wrong(" ".join(said)) <= MOST_WRONG, said
