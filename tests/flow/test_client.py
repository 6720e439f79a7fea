"""Our SDK against the whole server, waiting and blocking: what its users write, runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from bridge import client as sdk
from tests.compat.vocafuse_browser import send
from tests.real_server import KEY, RealServer, hear_tones, real_server
from tests.receiver import receiving
from tests.recorded import channels, file_of, said_in_turn
from tests.tones import HeldEngine

WAV = file_of("wav", channels())
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
LOCAL = "127.0.0.0/8"

Found = TypeVar("Found")


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RealServer]:
    hear_tones(monkeypatch)
    async with real_server(tmp_path, allow_private_urls=LOCAL) as running:
        yield running


async def blocking(work: Callable[[], Found]) -> Found:
    """As a user's own program: beside the server's loop."""
    return await asyncio.to_thread(work)


async def test_recordings_from_a_program(server: RealServer, tmp_path: Path) -> None:
    """Sent, waited for, listed, read, deleted; under both names."""
    (tmp_path / "monday.wav").write_bytes(WAV)

    def work() -> None:
        with sdk.Client(KEY, base_url=server.url, max_retries=0) as client:
            done = client.recordings.create(
                tmp_path / "monday.wav", wait=20, metadata={"order": "447"}, keywords=["Harbor"]
            )
            assert done["text"].split() == said_in_turn()
            [found] = client.voicenotes.list(status="transcribed", limit=10)
            assert (found["original_filename"], found["metadata"]) == ("monday.wav", {"order": "447"})
            assert [v["id"] for v in client.recordings.list() if "tone" in v.get("text", "")] == [done["call_id"]]
            recording = client.recordings(done["call_id"])
            assert recording.transcription.get()["text"].split() == said_in_turn()
            assert client.calls(done["call_id"]).transcript("vtt").startswith("WEBVTT")
            assert [call["call_id"] for call in client.calls.each(limit=1)] == [done["call_id"]]
            recording.delete()
            with pytest.raises(sdk.RecordingNotFoundError):
                recording.get()

    await blocking(work)


async def test_a_webhook_that_verifies(server: RealServer) -> None:
    """Made with the SDK, received, and checked with it."""
    async with sdk.AsyncClient(KEY, base_url=server.url) as client, receiving(server.context.clock) as app:
        hook = await client.webhooks.create(app.url, ["recording.transcribed"], secret=SECRET)
        made = await sdk.AsyncAccessToken(KEY, KEY, "user_7", server.url)(expires_in=60)
        recording_id = await send(server, made["token"], WAV)
        await app.got(1)
        [received] = app.seen
        validator = sdk.RequestValidator(SECRET)
        assert validator.validate(received.body, received.headers["x-vocafuse-signature"])
        assert validator.validate_request(received.body, received.headers)
        assert received.message["recording"]["id"] == recording_id
        assert [one["id"] for one in await client.webhooks.list()] == [hook["id"]]
        await client.webhooks(hook["id"]).delete()
        with pytest.raises(sdk.WebhookNotFoundError):
            await client.webhooks(hook["id"]).get()


async def test_events_while_they_happen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the first to the last, though the server is another one in between; each once, in order, then no more."""
    hear_tones(monkeypatch)
    seen: list[dict[str, Any]] = []
    async with real_server(tmp_path, engine=HeldEngine(at_first=1)) as first:
        port = int(first.url.rpartition(":")[2])
        client = sdk.AsyncClient(KEY, base_url=first.url, retry_delay=0.05, max_retries=9)
        call_id = (await client.recordings.create(WAV, filename="monday.wav"))["call_id"]
        began = asyncio.Event()

        async def follow() -> None:
            while True:
                try:
                    async for event in client.calls(call_id).events(after=seen[-1]["seq"] if seen else 0):
                        seen.append(event)
                        began.set()
                except sdk.NotFoundError:  # it waits to be begun
                    await asyncio.sleep(0.02)
                else:
                    return

        following = asyncio.create_task(follow())
        await began.wait()
    async with real_server(tmp_path, port=port):
        async with asyncio.timeout(20):
            await following
    await client.aclose()
    assert [event["seq"] for event in seen] == list(range(1, len(seen) + 1))
    assert seen[-1]["type"] == "call.ended"
    assert " ".join(event["text"] for event in seen if event["type"] == "transcript.final").split() == said_in_turn()
