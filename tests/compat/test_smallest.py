"""Smallest AI's own SDK, pointed at us: recordings over HTTP and live audio over a WebSocket."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from callcodecs.g711 import encode_ulaw
from tests.compat.receiver import customer
from tests.compat.wire import PATIENCE_S, refused, rest, socket
from tests.real_server import KEY, RealServer
from tests.recorded import channels, file_of, said_in_turn
from tests.tones import DURATION_MS, LINE_RATE, SCRIPT

pytest.importorskip("smallestai", reason="the SDK is not installed: pip install smallestai")

from smallestai import AsyncSmallestAI
from smallestai.environment import SmallestAIEnvironment
from smallestai.waves.errors import BadRequestError, UnauthorizedError
from smallestai.waves.helpers import stream_speech_to_text

pytestmark = pytest.mark.surface("smallest")

MONO = channels()[0]
WAV = file_of("wav", channels())
TEXT = " ".join(said_in_turn())
SPOKEN = [word for _, words in SCRIPT for word in words]


@asynccontextmanager
async def pointed(server: RealServer, key: str = KEY) -> AsyncIterator[AsyncSmallestAI]:
    where = SmallestAIEnvironment(atoms=server.url, waves=server.url, waves_ws=server.ws_url, payment=server.url)
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
        yield AsyncSmallestAI(api_key=key, environment=where, httpx_client=http)


@pytest.fixture
async def transcribe(server: RealServer) -> AsyncIterator[Any]:
    async with pointed(server) as client:
        yield client.waves.speech_to_text.transcribe


@pytest.mark.shows("a file")
@pytest.mark.shows("words with times")
@pytest.mark.shows("utterances")
@pytest.mark.shows("emotion, age, gender", absent="accepted and left out")
@pytest.mark.shows("redaction", absent="passed over")
async def test_a_file(transcribe: Any) -> None:
    """Its words and utterances with times; what is not built is accepted and left out."""
    told = await transcribe(
        model="pulse",
        language="en",
        request=WAV,
        word_timestamps=True,
        diarize=False,
        emotion_detection="true",
        redact_pii="true",
    )
    assert (told.status, told.transcription, told.language) == ("success", TEXT, "en")
    assert told.request_id
    assert [word.word for word in told.words] == [word.word for word in SPOKEN]
    assert [word.start for word in told.words] == pytest.approx([w.start_ms / 1000 for w in SPOKEN], abs=0.1)
    assert all(0 < word.confidence <= 1 for word in told.words)
    assert [one.text.split() for one in told.utterances] == [[w.word for w in words] for _, words in SCRIPT]
    assert told.metadata.duration == DURATION_MS / 1000
    left_out = {"age", "gender", "emotions"} & set(told.dict(exclude_unset=True))
    assert not left_out
    assert all("speaker" not in word.dict(exclude_unset=True) for word in told.words)


@pytest.mark.shows("by its address")
@pytest.mark.shows("language found out")
async def test_by_its_address_at_the_old_paths(server: RealServer) -> None:
    """A recording that is fetched; `multi` finds the language out; words may be left out."""

    async def monday(_: web.Request) -> web.Response:
        return web.Response(body=io.BytesIO(WAV), content_type="audio/wav")

    shop = web.Application()
    shop.router.add_get("/monday.wav", monday)
    async with TestServer(shop, host="127.0.0.1") as running:
        body = {"url": str(running.make_url("/monday.wav"))}
        for path in ("/waves/v1/pulse/get_text", "/api/v1/pulse/get_text/"):
            told = await server.json("POST", f"{path}?language=multi&word_timestamps=false", json=body)
            assert (told["transcription"], told["language"]) == (TEXT, "en")
            assert {"words", "utterances"}.isdisjoint(told)


@pytest.mark.shows("G.711 at 8 kHz")
async def test_samples_without_a_header(server: RealServer) -> None:
    """As the parameters say."""
    query = f"model=pulse&encoding=mulaw&sample_rate={LINE_RATE}"
    told = await server.json("POST", f"/waves/v1/stt?{query}", data=encode_ulaw(MONO))
    assert told["transcription"] == TEXT


@pytest.mark.shows("faults in its shape")
async def test_faults(server: RealServer, transcribe: Any) -> None:
    """The SDK raises what it raises at Smallest AI, with what is wrong in it."""
    with pytest.raises(BadRequestError) as unreadable:
        await transcribe(model="pulse", language="en", request=b"no audio at all")
    assert unreadable.value.status_code == 400
    for wrong in ({"model": "whisper", "language": "en"}, {"model": "pulse", "language": "tlh"}):
        with pytest.raises(BadRequestError):
            await transcribe(request=WAV, **wrong)
    async with pointed(server, "wrong") as stranger:
        with pytest.raises(UnauthorizedError):
            await stranger.waves.speech_to_text.transcribe(model="pulse", language="en", request=WAV)
    told = await server.json("POST", "/waves/v1/stt/?model=pulse&language=tlh", data=WAV, status=400)
    assert set(told) == {"error", "request_id", "details"}
    assert "de, el, en, es" in told["error"]


@pytest.mark.shows("a callback of its own")
@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_callback(transcribe: Any, method: str) -> None:
    """Its id at once; then all of it, with what was to come back, at the address that was given."""
    asked = {"model": "pulse", "language": "en", "request": WAV}
    waited = await transcribe(**asked)
    async with customer() as app:
        hook = {"webhook_url": app.url, "webhook_method": method, "webhook_extra": "order:7,desk: b"}
        told = await transcribe(**asked, **hook)
        came = await app.next()
    body = json.loads(came.text)
    assert (told.status, came.method) == ("processing", method)
    assert (body["status"], body["request_id"]) == ("success", told.request_id)
    assert (body["webhook_extra"], body["extra"]) == ("order:7,desk: b", {"order": "7", "desk": "b"})
    assert (body["transcription"], body["language"]) == (TEXT, "en")
    assert [word["word"] for word in body["words"]] == [word.word for word in waited.words]
    assert [one["text"] for one in body["utterances"]] == [one.text for one in waited.utterances]


async def test_a_callback_that_nothing_comes_of(server: RealServer, transcribe: Any) -> None:
    """What cannot be fetched is told there as failed; an address inside the server's network is refused at once."""
    asked = {"model": "pulse", "language": "en"}
    async with customer() as app:
        query, where = {**asked, "webhook_url": app.url}, {"url": f"{app.url}/nothing.wav"}
        told = await server.json("POST", "/waves/v1/stt/", params=query, json=where)
        assert (await app.next()).method == "GET"
        body = json.loads((await app.next()).text)
    assert (body["status"], body["request_id"]) == ("failed", told["request_id"])
    assert body["error"]
    for wrong in (
        {"webhook_url": "http://10.0.0.7/"},
        {"webhook_url": "https://x.example.org", "webhook_method": "PUT"},
    ):
        with pytest.raises(BadRequestError):
            await transcribe(**asked, request=WAV, **wrong)


# -- live ----------------------------------------------------------------------------------------------------------


class Session:
    """One session of the SDK, and all that it was told."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.told: list[Any] = []

    async def send(self, data: bytes, *, size: int = 3201) -> None:
        """In pieces that end in the middle of samples."""
        for at in range(0, len(data), size):
            await self.connection.send_audio_chunk_out(data[at : at + size])

    async def signal(self, kind: str) -> None:
        await self.connection._send({"type": kind})

    async def until(self, **fields: Any) -> Any:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                self.told.append(message := await self.connection.recv())
                if all(getattr(message, name, None) == value for name, value in fields.items()):
                    return message

    async def close(self) -> list[Any]:
        """Close the stream, and hear everything until the socket is closed: `is_last` is the last word."""
        await self.signal("close_stream")
        async with asyncio.timeout(PATIENCE_S):
            async for message in self.connection:
                self.told.append(message)
        return self.told

    def finals(self) -> list[Any]:
        return [one for one in self.told if one.type == "transcription" and one.is_final]

    def words(self) -> list[str]:
        return [word for one in self.finals() for word in one.transcript.split()]


@asynccontextmanager
async def session(server: RealServer, **options: Any) -> AsyncIterator[Session]:
    asked = {"language": "en", "sample_rate": LINE_RATE, **options}
    async with pointed(server) as client, stream_speech_to_text(client, **asked) as connection:
        yield Session(connection)


@pytest.mark.shows("live audio")
@pytest.mark.shows("last words before the close")
async def test_words_as_they_are_said(server: RealServer) -> None:
    """A final for each stretch of speech; all of it so far beside it; `is_last` at the very end, even without words."""
    async with session(server, sentence_timestamps=True) as live:
        await live.send(MONO.tobytes())
        await live.close()
    assert live.words() == said_in_turn()
    *spoken, last = live.finals()
    assert [one.is_last for one in spoken] == [False] * len(SCRIPT)
    assert (last.is_last, last.transcript, last.full_transcript) == (True, "", TEXT)
    assert spoken[1].full_transcript.split() == [w.word for _, words in SCRIPT[:2] for w in words]
    assert [word.word for one in spoken for word in one.words] == [word.word for word in SPOKEN]
    for one, (_, words) in zip(spoken, SCRIPT, strict=True):
        assert one.transcription == one.transcript
        assert one.utterances[0].start == pytest.approx(words[0].start_ms / 1000, abs=0.1)
        assert (one.language, one.languages) == ("en", ["en"])
    assert len({one.session_id for one in live.told}) == 1


@pytest.mark.shows("interim results")
@pytest.mark.shows("speech events")
async def test_interim_results_and_events(server: RealServer) -> None:
    """Partials while somebody speaks; where speech starts and ends, when that is asked for."""
    async with session(server, vad_events=True, full_transcript=False, encoding="mulaw") as live:
        speech = encode_ulaw(MONO[: 3 * LINE_RATE])
        for at in range(0, len(speech), 1600):
            await live.send(speech[at : at + 1600])
            await asyncio.sleep(0.015)  # time for a partial
        await live.close()
    interim = [one for one in live.told if one.type == "transcription" and not one.is_final]
    assert interim
    assert not any(one.is_last for one in interim)
    kinds = [one.type for one in live.told if one.type != "transcription"]
    assert kinds == ["speech_started", "speech_ended"]
    assert all(one.full_transcript is None for one in live.told if one.type == "transcription")


@pytest.mark.shows("finalize")
async def test_finalize(server: RealServer) -> None:
    """What was said so far comes at once, marked; the socket stays open; with nothing left there is an empty answer."""
    first = SCRIPT[0][1]
    cut = (first[0].end_ms + 60) * LINE_RATE // 1000  # in the pause behind the first word of three
    async with session(server) as live:
        await live.send(MONO[:cut].tobytes())
        for words in (first[0].word, ""):
            await live.signal("finalize")
            told = await live.until(from_finalize=True)
            assert (told.transcript, told.is_final, told.is_last) == (words, True, False)
        await live.signal("keepalive")
        await live.until(type="pong")
        await live.send(MONO[cut:].tobytes())
        await live.close()
    assert live.words() == said_in_turn()


@pytest.mark.shows("containers while they come")
async def test_the_old_path_speaks_both(server: RealServer) -> None:
    """Where recordings are posted a WebSocket opens too, without a model, to clients that end with `end`."""
    async with socket(server, "/waves/v1/pulse/get_text?encoding=ogg_opus&punctuate=false") as live:
        await live.send_bytes(file_of("ogg", channels()))
        await live.send_str(json.dumps({"type": "end"}))
        told = await rest(live)
        assert live.close_code == 1000
    assert told[-1]["full_transcript"] == TEXT
    assert told[-1]["is_last"] is True


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("language=en", id="no-model"),
        pytest.param("model=pulse-pro", id="a-model-for-recordings"),
        pytest.param("model=pulse&language=tlh", id="a-language-nobody-writes"),
        pytest.param("model=pulse&encoding=g729", id="an-encoding-nobody-decodes"),
    ],
)
async def test_refused_before_the_upgrade(server: RealServer, query: str) -> None:
    """With a status: no socket opens."""
    assert await refused(server, f"/waves/v1/stt/live?{query}") == 400


async def test_what_is_no_message(server: RealServer) -> None:
    """It is answered by an error, and the socket closed as the client's fault."""
    async with socket(server, "/waves/v1/stt/live?model=pulse") as live:
        await live.send_str("{")
        told = await rest(live)
        assert live.close_code == 1008
    assert (told[0]["type"], told[0]["status"]) == ("error", "error")
