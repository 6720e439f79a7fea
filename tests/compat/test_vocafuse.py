"""VocaFuse's own SDK, pointed at us: tokens, recordings under both names, keys, and the exceptions it raises."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from tests.compat.vocafuse_browser import send
from tests.real_server import KEY, RealServer
from tests.recorded import channels, file_of, said_in_turn
from tests.tones import DURATION_MS

vocafuse = pytest.importorskip("vocafuse", reason="the SDK is not installed: pip install vocafuse")

pytestmark = pytest.mark.surface("vocafuse")

WAV = file_of("wav", channels())
TEXT = " ".join(said_in_turn())

Found = TypeVar("Found")


@pytest.fixture
def base(server: RealServer) -> str:
    return f"{server.url}/v1"


def client(base: str) -> Any:
    return vocafuse.Client(KEY, KEY, base_url=base)


async def ask(call: Callable[..., Found], *given: Any, **named: Any) -> Found:
    """The SDK blocks; the server runs in this loop."""
    return await asyncio.to_thread(call, *given, **named)


@pytest.mark.shows("recordings kept, listed, deleted")
@pytest.mark.shows("words with times")
@pytest.mark.shows("short-lived tokens")
@pytest.mark.shows("language found out")
async def test_from_a_browser_to_words(server: RealServer, base: str) -> None:
    """The app makes a token, its page sends a recording with it, the app reads it back and deletes it."""
    made = await ask(vocafuse.AccessToken(KEY, KEY, "user_7", base_url=base), expires_in=600)
    assert made["success"] is True
    assert made["token"] == made["data"]["jwt_token"] == made["data"]["id_token"]
    assert (made["expires_in"], made["data"]["identity"]) == (600, "user_7")
    recording_id = await send(server, made["token"], WAV, audio_format="wav")
    await server.context.transcriber.finished("default", recording_id)

    recordings = client(base).recordings
    found = await ask(recordings.get, recording_id)
    assert (found["status"], found["identity"], found["duration"]) == ("transcribed", "user_7", DURATION_MS / 1000)
    assert found["data"]["text"].split() == said_in_turn()
    said = await ask(recordings(recording_id).transcription.get)
    assert (said["text"], said["language"], said["model"]) == (TEXT, "english", "base")
    assert [word["word"] for word in said["words"]] == said_in_turn()
    listed = await ask(recordings.list, status="completed", limit=500, date_from="2025-01-01")
    assert listed["pagination"] == {"page": 0, "limit": 100, "total": 1, "has_more": False}
    assert listed["recordings"] == listed["voicenotes"] == listed["data"] == [found["data"]]
    assert await ask(recordings(recording_id).delete) == {}
    with pytest.raises(vocafuse.RecordingNotFoundError):
        await ask(recordings.get, recording_id)


@pytest.mark.shows("faults in its shape")
async def test_exceptions(server: RealServer, base: str) -> None:
    """Each of the SDK's own, for what would raise it there."""
    recordings = client(base).recordings
    with pytest.raises(vocafuse.RecordingNotFoundError):
        await ask(recordings("rec_none").transcription.get)
    with pytest.raises(vocafuse.ValidationError) as wrong:
        await ask(recordings.list, status="lost")
    assert (wrong.value.error_code, wrong.value.details["field"]) == ("INVALID_FIELD_VALUE", "status")
    with pytest.raises(vocafuse.AuthenticationError):
        await ask(vocafuse.Client(KEY, "wrong", base_url=base).recordings.list)
    with pytest.raises(vocafuse.AuthenticationError):
        await ask(vocafuse.Client("another", KEY, base_url=base).recordings.list)
    with pytest.raises(vocafuse.ValidationError) as short:
        await ask(vocafuse.AccessToken(KEY, KEY, "user_7", base_url=base), expires_in=59)
    assert short.value.details["field"] == "expires_in"


async def test_keys(base: str) -> None:
    """A key that the SDK makes is good for the SDK until it deletes it."""
    keys = client(base).api_keys
    made = await ask(keys.create, "production")
    own = vocafuse.Client(made["key"], made["secret"], base_url=base)
    assert (await ask(own.recordings.list))["recordings"] == []
    [listed] = (await ask(keys.list))["api_keys"]
    assert (listed["id"], listed["name"]) == (made["id"], "production")
    assert "secret" not in listed
    assert await ask(keys.delete, made["id"]) == {}
    with pytest.raises(vocafuse.AuthenticationError):
        await ask(own.recordings.list)
    with pytest.raises(vocafuse.APIKeyNotFoundError):
        await ask(keys.delete, made["id"])
