"""OpenAI's own SDK, pointed at us: Realtime transcription over a WebSocket."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from callcodecs.g711 import encode_alaw, encode_ulaw
from callcodecs.resample import Resampler
from tests.compat.wire import PATIENCE_S, refused, socket
from tests.real_server import KEY, RealServer
from tests.recorded import channels, said_in_turn
from tests.tones import LINE_RATE, SCRIPT

openai = pytest.importorskip("openai", reason="the SDK is not installed: pip install openai")

pytestmark = pytest.mark.surface("openai")

SILENCE_S = 1
ITEM = "conversation.item.input_audio_transcription"


def at_rate(rate: int) -> np.ndarray:
    """What is said, and a silence behind it that ends speech."""
    resampler = Resampler(LINE_RATE, rate)
    spoken = np.concatenate([resampler.push(channels()[0].astype(np.float32)), resampler.flush()])
    quiet = np.zeros(SILENCE_S * rate, np.float32)
    return np.concatenate([spoken, quiet]).clip(-32768, 32767).astype("<i2")


AUDIO = {
    "audio/pcm": (24_000, at_rate(24_000).tobytes()),
    "audio/pcmu": (8000, encode_ulaw(at_rate(8000))),
    "audio/pcma": (8000, encode_alaw(at_rate(8000))),
}


class Session:
    """One session of the SDK, and all that it was told."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.told: list[Any] = []

    async def until(self, kind: str, count: int = 1) -> list[Any]:
        """The next so many events of a kind; what comes between is kept."""
        found: list[Any] = []
        async with asyncio.timeout(PATIENCE_S):
            while len(found) < count:
                self.told.append(event := await self.connection.recv())
                if event.type == kind:
                    found.append(event)
        return found

    async def update(self, **given: Any) -> Any:
        await self.connection.session.update(session={"type": "transcription", "audio": {"input": given}})
        return (await self.until("session.updated"))[0].session

    async def append(self, data: bytes, *, size: int = 4801) -> None:
        for at in range(0, len(data), size):
            await self.connection.input_audio_buffer.append(audio=base64.b64encode(data[at : at + size]).decode())

    def of(self, kind: str) -> list[Any]:
        return [event for event in self.told if event.type == kind]


@asynccontextmanager
async def session(server: RealServer, key: str = KEY, **query: str) -> AsyncIterator[Session]:
    asked = query or {"intent": "transcription"}
    async with (
        openai.AsyncOpenAI(api_key=key, base_url=f"{server.url}/v1", max_retries=0) as client,
        client.realtime.connect(extra_query=asked) as connection,
    ):
        yield Session(connection)


@pytest.mark.shows("live audio")
@pytest.mark.shows("speech events")
@pytest.mark.shows("G.711 at 8 kHz")
@pytest.mark.parametrize("form", list(AUDIO))
async def test_an_item_for_each_stretch_of_speech(server: RealServer, form: str) -> None:
    """`session.created` comes unasked; then speech, its item, its words, in the order that clients wait for."""
    _, data = AUDIO[form]
    async with session(server) as live:
        [created] = await live.until("session.created")
        assert created.session.audio.input.turn_detection.type == "server_vad"
        shown = await live.update(format={"type": form}, transcription={"model": "gpt-4o-transcribe", "language": "en"})
        assert shown.audio.input.format.type == form
        await live.append(data)
        done = await live.until(f"{ITEM}.completed", len(SCRIPT))
    assert [one.transcript.split() for one in done] == [[w.word for w in words] for _, words in SCRIPT]
    assert [delta.delta for delta in live.of(f"{ITEM}.delta")] == [one.transcript for one in done]
    for one, (_, words) in zip(done, SCRIPT, strict=True):
        kinds = [event.type for event in live.told if getattr(event, "item_id", "") == one.item_id]
        started, stopped = "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped"
        assert kinds == [started, stopped, "input_audio_buffer.committed", f"{ITEM}.delta", f"{ITEM}.completed"]
        [begin] = [event for event in live.of(started) if event.item_id == one.item_id]
        assert begin.audio_start_ms == pytest.approx(words[0].start_ms, abs=100)
        assert (one.usage.type, one.content_index) == ("duration", 0)
        assert one.usage.seconds == pytest.approx((words[-1].end_ms - words[0].start_ms) / 1000, abs=0.1)
    ids = [event.item.id for event in live.of("conversation.item.added")]
    assert ids == [one.item_id for one in done]
    previous = [event.previous_item_id for event in live.of("input_audio_buffer.committed")]
    assert previous == [None, *ids[:-1]]
    assert len({event.event_id for event in live.told}) == len(live.told)


@pytest.mark.shows("finalize")
async def test_turns_that_the_client_ends(server: RealServer) -> None:
    """Without turn detection silence ends nothing: what comes before a commit is one item, however many pauses."""
    rate, data = AUDIO["audio/pcm"]
    cut = 2 * rate * (SCRIPT[2][1][-1].end_ms + 60) // 1000
    async with session(server) as live:
        shown = await live.update(turn_detection=None)
        assert shown.audio.input.turn_detection is None
        for piece in (data[:cut], data[cut:]):
            await live.append(piece)
            await live.connection.input_audio_buffer.commit()
        first, second = await live.until(f"{ITEM}.completed", 2)
        await live.connection.input_audio_buffer.commit()
        [empty] = await live.until("error")
    assert first.transcript.split() == [w.word for _, words in SCRIPT[:3] for w in words]
    assert second.transcript.split() == [w.word for _, words in SCRIPT[3:] for w in words]
    assert first.usage.seconds == pytest.approx(cut / 2 / rate, abs=0.1)
    deltas = "".join(one.delta for one in live.of(f"{ITEM}.delta") if one.item_id == first.item_id)
    assert deltas == first.transcript
    assert not live.of("input_audio_buffer.speech_started")
    assert empty.error.code == "input_audio_buffer_commit_empty"


async def test_audio_that_is_taken_back(server: RealServer) -> None:
    """Nothing is told of what was cleared; what comes behind it is."""
    rate, data = AUDIO["audio/pcm"]
    cut = 2 * rate * (SCRIPT[0][1][-1].end_ms + 60) // 1000
    async with session(server) as live:
        await live.update(turn_detection=None)
        await live.append(data[:cut])
        await live.connection.input_audio_buffer.clear()
        await live.until("input_audio_buffer.cleared")
        await live.append(data[cut:])
        await live.connection.input_audio_buffer.commit()
        [rest] = await live.until(f"{ITEM}.completed")
    assert rest.transcript.split() == said_in_turn()[len(SCRIPT[0][1]) :]


@pytest.mark.shows("faults in its shape")
async def test_what_is_wrong_ends_nothing(server: RealServer) -> None:
    """An error names the event it answers, and the session goes on."""
    async with session(server) as live:
        for event in (
            {"type": "response.create", "event_id": "e1"},
            {"type": "input_audio_buffer.append", "audio": "no base 64!", "event_id": "e1"},
            {"type": "session.update", "session": {"type": "realtime"}, "event_id": "e1"},
            {
                "type": "session.update",
                "session": {"type": "transcription", "audio": {"input": {"format": {"type": "audio/pcm", "rate": 9}}}},
                "event_id": "e1",
            },
            {
                "type": "session.update",
                "session": {"audio": {"input": {"transcription": {"language": "tlh"}}}},
                "event_id": "e1",
            },
        ):
            await live.connection.send(event)
            [error] = await live.until("error")
            assert (error.error.type, error.error.event_id) == ("invalid_request_error", "e1")
        await live.append(AUDIO["audio/pcm"][1][:200_000])
        await live.until("input_audio_buffer.speech_started")
        await live.connection.session.update(
            session={"type": "transcription", "audio": {"input": {"turn_detection": None}}}
        )
        [late] = await live.until("error")
        assert "before the first audio" in late.error.message


@pytest.mark.shows("short-lived tokens")
async def test_client_secrets(server: RealServer) -> None:
    """What a server asks for opens a browser's session, already set up."""
    async with openai.AsyncOpenAI(api_key=KEY, base_url=f"{server.url}/v1", max_retries=0) as client:
        secret = await client.realtime.client_secrets.create(
            expires_after={"anchor": "created_at", "seconds": 60},
            session={"type": "transcription", "audio": {"input": {"format": {"type": "audio/pcmu"}}}},
        )
        with pytest.raises(openai.BadRequestError):
            await client.realtime.client_secrets.create(expires_after={"anchor": "created_at", "seconds": 5})
    assert secret.session.audio.input.format.type == "audio/pcmu"
    protocols = ("realtime", f"openai-insecure-api-key.{secret.value}")
    async with socket(server, "/v1/realtime", headers={}, protocols=protocols) as live:
        assert live.protocol == "realtime"
        created = await live.receive_json(timeout=PATIENCE_S)
        assert created["session"]["audio"]["input"]["format"] == {"type": "audio/pcmu"}


async def test_clients_of_the_older_protocol(server: RealServer) -> None:
    """They name things otherwise, and are answered likewise."""
    granted = await server.json(
        "POST", "/v1/realtime/transcription_sessions", json={"input_audio_format": "g711_alaw", "turn_detection": None}
    )
    assert granted["turn_detection"] is None
    headers = {"Authorization": f"Bearer {granted['client_secret']['value']}", "OpenAI-Beta": "realtime=v1"}
    async with socket(server, "/v1/realtime?intent=transcription&model=whisper-1", headers=headers) as live:
        created = await live.receive_json(timeout=PATIENCE_S)
        assert created["type"] == "transcription_session.created"
        assert created["session"]["input_audio_format"] == "g711_alaw"
        await live.send_json({"type": "transcription_session.update", "session": {"input_audio_format": "g711_ulaw"}})
        assert (await live.receive_json(timeout=PATIENCE_S))["session"]["input_audio_format"] == "g711_ulaw"
        audio = base64.b64encode(AUDIO["audio/pcmu"][1]).decode()
        await live.send_json({"type": "input_audio_buffer.append", "audio": audio})
        await live.send_json({"type": "input_audio_buffer.commit"})
        told: list[dict[str, Any]] = []
        while not told or not told[-1]["type"].endswith("completed"):
            told.append(await live.receive_json(timeout=PATIENCE_S))
        await live.send_str(json.dumps(["no object"]))
        assert (await live.receive_json(timeout=PATIENCE_S))["type"] == "error"
    assert told[1]["type"] == "conversation.item.created"
    assert told[-1]["transcript"].split() == said_in_turn()


async def test_strangers_and_conversations(server: RealServer) -> None:
    """Without a key no socket opens, nor for what is not offered here."""
    assert await refused(server, "/v1/realtime?intent=transcription", headers={"Authorization": "Bearer x"}) == 401
    assert await refused(server, "/v1/realtime?model=gpt-realtime") == 400
    with pytest.raises(Exception, match="401"):
        async with session(server, "wrong"):
            pass
