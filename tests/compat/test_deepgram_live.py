"""Deepgram's own SDK, pointed at us: live audio over a WebSocket."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import numpy as np
import pytest

from bridge.compat.live import leave
from bridge.model.stream import Leg
from callcodecs.g711 import encode_alaw, encode_ulaw
from callcodecs.opus import FRAME, OpusEncoder
from callcodecs.resample import Resampler
from tests.http_server import until
from tests.real_server import KEY, RealServer
from tests.recorded import channels, file_of, said, said_in_turn
from tests.tones import DURATION_MS, LINE_RATE, SCRIPT

pytest.importorskip("deepgram", reason="the SDK is not installed: pip install deepgram-sdk")

from tests.compat.deepgram_client import pointed  # which imports the SDK

pytestmark = pytest.mark.surface("deepgram")

PATIENCE_S = 20
MONO = channels()[0]
PCM = MONO.tobytes()
AS_PCM = {"model": "nova-3", "encoding": "linear16", "sample_rate": LINE_RATE}


class Session:
    """One session of the SDK, and all that it was told."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.told: list[Any] = []

    async def send(self, data: bytes, *, size: int = 3201) -> None:
        """In pieces that end in the middle of samples."""
        for at in range(0, len(data), size):
            await self.connection.send_media(data[at : at + size])

    async def until(self, kind: str, **fields: Any) -> Any:
        """The next message of that kind with such fields; what comes before it is kept."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                message = await self.connection.recv()
                self.told.append(message)
                if message.type == kind and all(getattr(message, name) == value for name, value in fields.items()):
                    return message

    async def close(self) -> list[Any]:
        """CloseStream, and everything until the socket is closed: `Metadata` is the last word."""
        await self.connection.send_close_stream()
        await self.until("Metadata")
        return self.told

    def finals(self, channel: int = 0) -> list[Any]:
        return [one for one in self.results(channel) if one.is_final]

    def results(self, channel: int = 0) -> list[Any]:
        return [one for one in self.told if one.type == "Results" and one.channel_index[0] == channel]

    def words(self, channel: int = 0) -> list[str]:
        return [word for one in self.finals(channel) for word in one.channel.alternatives[0].transcript.split()]


@asynccontextmanager
async def session(server: RealServer, **options: Any) -> AsyncIterator[Session]:
    async with pointed(server, api_key=KEY) as client, client.listen.v1.connect(**options) as connection:
        yield Session(connection)


@pytest.mark.shows("live audio")
@pytest.mark.shows("last words before the close")
async def test_words_as_they_are_said(server: RealServer) -> None:
    """A final for each stretch of speech, in order and at its place; `Metadata` at the end with what was sent."""
    async with session(server, **AS_PCM, interim_results=True) as live:
        await live.send(PCM)
        await live.close()
    assert live.words() == said_in_turn()
    spoken = [word for _, words in SCRIPT for word in words]
    told = [word for one in live.finals() for word in one.channel.alternatives[0].words]
    assert [word.word for word in told] == [word.word for word in spoken]
    assert [word.start for word in told] == pytest.approx([word.start_ms / 1000 for word in spoken], abs=0.1)
    for one in live.finals():
        assert one.speech_final is True
        assert one.from_finalize is False
        assert one.start <= one.channel.alternatives[0].words[0].start
        assert one.metadata.model_info.arch == "whisper"
        assert one.channel_index == [0, 1]
    last = live.told[-1]
    assert (last.type, last.channels) == ("Metadata", 1)
    assert last.duration == pytest.approx(DURATION_MS / 1000, abs=0.05)
    assert last.sha256 == hashlib.sha256(PCM).hexdigest()
    assert {one.metadata.request_id for one in live.finals()} == {last.request_id}


@pytest.mark.shows("interim results")
async def test_interim_results(server: RealServer) -> None:
    """They come while somebody speaks, only when asked for, and the final has their place."""
    speech = channels(Leg.AGENT)[0][: 3 * LINE_RATE].tobytes()
    for wanted in (True, False):
        async with session(server, **AS_PCM, interim_results=wanted) as live:
            for at in range(0, len(speech), 3200):
                await live.send(speech[at : at + 3200])
                await asyncio.sleep(0.02)  # five times as fast as it is spoken: time for a partial
            await live.close()
        interim = [one for one in live.results() if not one.is_final]
        assert bool(interim) is wanted
        assert all(one.speech_final is False for one in interim)
        if wanted:
            assert interim[0].start == live.finals()[0].start


@pytest.mark.shows("channels apart")
async def test_channels_apart(server: RealServer) -> None:
    """With multichannel each party has its results; without it both are in one."""
    both = np.ascontiguousarray(channels(Leg.CALLER, Leg.AGENT).T).tobytes()
    async with session(server, **AS_PCM, channels=2, multichannel=True) as apart:
        await apart.send(both)
        await apart.close()
    assert (apart.words(0), apart.words(1)) == (said(Leg.CALLER), said(Leg.AGENT))
    assert {tuple(one.channel_index) for one in apart.told if one.type == "Results"} == {(0, 2), (1, 2)}
    async with session(server, **AS_PCM, channels=2) as together:
        await together.send((np.frombuffer(both, np.int16)).tobytes())
        await together.close()
    assert together.told[-1].channels == 1
    assert len(together.words()) == len(said_in_turn())


def opus() -> list[bytes]:
    wide = Resampler(LINE_RATE, 48_000)
    samples = np.concatenate([wide.push(MONO.astype(np.float32)), wide.flush()]).clip(-32768, 32767).astype(np.int16)
    encoder = OpusEncoder()
    return [encoder.encode(samples[at : at + FRAME]) for at in range(0, len(samples) - FRAME, FRAME)]


@pytest.mark.parametrize(
    ("encoding", "rate", "data"),
    [
        pytest.param("mulaw", LINE_RATE, [encode_ulaw(MONO)], id="mulaw"),
        pytest.param("alaw", LINE_RATE, [encode_alaw(MONO)], id="alaw"),
        pytest.param("linear32", LINE_RATE, [(MONO.astype("<i4") * 65536).tobytes()], id="linear32"),
        pytest.param("opus", 48_000, opus(), id="opus-packets"),
        pytest.param("flac", None, [file_of("flac", channels())], id="flac"),
        pytest.param("ogg-opus", None, [file_of("ogg", channels())], id="ogg-opus"),
        pytest.param(None, None, [file_of("webm", channels())], id="webm-found-out"),
        pytest.param(None, None, [file_of("mp3", channels())], id="mp3-found-out"),
        pytest.param(None, None, [file_of("wav", channels())], id="wav-found-out"),
    ],
)
@pytest.mark.shows("containers while they come")
@pytest.mark.shows("G.711 at 8 kHz")
async def test_encodings(server: RealServer, encoding: str | None, rate: int | None, data: Sequence[bytes]) -> None:
    """With or without a container, which is decoded while it comes."""
    asked = {name: value for name, value in (("encoding", encoding), ("sample_rate", rate)) if value is not None}
    async with session(server, model="nova-3", **asked) as live:
        for piece in data:
            await live.send(piece, size=len(piece) if encoding == "opus" else 3201)
        await live.close()
    assert live.words() == said_in_turn()


@pytest.mark.shows("finalize")
async def test_finalize(server: RealServer) -> None:
    """What was said so far comes at once, marked; the socket stays open; with nothing left there is an empty answer."""
    first = SCRIPT[0][1]
    cut = (first[0].end_ms + 60) * LINE_RATE // 1000  # in the pause behind the first word of three
    async with session(server, **AS_PCM) as live:
        await live.send(MONO[:cut].tobytes())
        await live.connection.send_finalize()
        told = await live.until("Results", from_finalize=True)
        assert told.channel.alternatives[0].transcript == first[0].word
        assert told.is_final is True
        await live.connection.send_finalize()
        assert (await live.until("Results", from_finalize=True)).channel.alternatives[0].transcript == ""
        await live.send(MONO[cut:].tobytes())
        await live.close()
    assert live.words() == said_in_turn()


@pytest.mark.shows("speech events")
async def test_events_around_speech(server: RealServer) -> None:
    """SpeechStarted where it starts; UtteranceEnd once, behind the final, as soon as so much silence was heard."""
    async with session(
        server, **AS_PCM, interim_results=True, vad_events=True, utterance_end_ms=1000, endpointing=300
    ) as live:
        await live.send(PCM)
        await live.close()
    kinds = [one.type for one in live.told if one.type != "Results" or one.is_final]
    assert kinds.count("SpeechStarted") == len(SCRIPT)
    assert kinds.count("UtteranceEnd") == len(SCRIPT)
    starts = [one.timestamp for one in live.told if one.type == "SpeechStarted"]
    assert starts == pytest.approx([words[0].start_ms / 1000 for _, words in SCRIPT], abs=0.1)
    ends = [one.last_word_end for one in live.told if one.type == "UtteranceEnd"]
    assert ends == pytest.approx([words[-1].end_ms / 1000 for _, words in SCRIPT], abs=0.1)
    finals = 0
    for kind in kinds:
        finals += (kind == "Results") - (kind == "UtteranceEnd")
        assert finals >= 0


@pytest.mark.shows("endpointing", differs="at least 100 ms, and `CALLBRIDGE_SPEECH_HANGOVER_MS` where it is not given")
async def test_no_endpointing(server: RealServer) -> None:
    """Segments still close, but none of them says that the speaker is done."""
    async with session(server, **AS_PCM, endpointing=False) as live:
        await live.send(PCM)
        await live.close()
    assert live.words() == said_in_turn()
    assert not any(one.speech_final for one in live.finals())


async def test_it_is_a_call(server: RealServer) -> None:
    """A session is kept as any call: listed, with its words, its tag and who sent it."""
    async with session(server, **AS_PCM, tag="monday") as live:
        await live.send(PCM)
        await live.close()
    [call] = (await server.json("GET", "/v1/calls"))["calls"]
    assert (call["carrier"], call["reason"], call["metadata"]) == ("deepgram", "hangup", {"tag": "monday"})
    assert call["carrier_call_id"] == live.told[-1].request_id


@asynccontextmanager
async def socket(server: RealServer, query: str, **how: Any) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """Without the SDK, for what it does not do."""
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{server.ws_url}/v1/listen?{query}", **how) as opened:
        yield opened


OPTIONS = f"encoding=linear16&sample_rate={LINE_RATE}"
BEARER = {"Authorization": f"Token {KEY}"}


async def test_from_a_browser(server: RealServer) -> None:
    """The credential comes as a subprotocol, of which the answer repeats the scheme alone."""
    async with socket(server, OPTIONS, protocols=("token", KEY)) as live:
        assert live.protocol == "token"
        await live.send_str(json.dumps({"type": "CloseStream"}))
        assert (await live.receive_json(timeout=PATIENCE_S))["type"] == "Metadata"
        assert (await live.receive(timeout=PATIENCE_S)).data == 1000


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        pytest.param(OPTIONS, {"Authorization": "Token wrong"}, 401, id="wrong-key"),
        pytest.param(OPTIONS, {}, 401, id="no-key"),
        pytest.param("encoding=linear16", BEARER, 400, id="no-rate"),
        pytest.param("encoding=g729&sample_rate=8000", BEARER, 400, id="an-encoding-nobody-decodes"),
        pytest.param(f"{OPTIONS}&language=tlh", BEARER, 400, id="a-language-nobody-writes"),
        pytest.param(f"{OPTIONS}&interim_results=perhaps", BEARER, 400, id="a-flag-that-is-none"),
        pytest.param(f"{OPTIONS}&channels=9", BEARER, 400, id="too-many-channels"),
    ],
)
async def test_refused_before_the_upgrade(server: RealServer, query: str, headers: dict[str, str], status: int) -> None:
    """With a status, and why in a header that its clients show."""
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with socket(server, query, headers=headers):
            pass
    assert refused.value.status == status
    assert refused.value.headers["dg-error"]


async def test_what_is_no_message(server: RealServer) -> None:
    """A broken one is answered by `Error`, an unknown one passed over; an empty binary frame ends the stream."""
    async with socket(server, OPTIONS, headers=BEARER) as live:
        await live.send_str("{")
        told = await live.receive_json(timeout=PATIENCE_S)
        assert (told["type"], told["variant"]) == ("Error", "SchemaError")
        await live.send_str(json.dumps({"type": "Later"}))
        await live.send_str(json.dumps({"type": "KeepAlive"}))
        await live.send_bytes(b"")
        assert (await live.receive_json(timeout=PATIENCE_S))["type"] == "Metadata"
        assert (await live.receive(timeout=PATIENCE_S)).data == 1000


async def test_what_is_no_audio(server: RealServer) -> None:
    """Bytes that no container has close the socket with Deepgram's code for it."""
    async with socket(server, "model=nova-3", headers=BEARER) as live:
        await live.send_bytes(b"this is not audio at all" * 2000)
        await live.send_str(json.dumps({"type": "CloseStream"}))
        while (message := await live.receive(timeout=PATIENCE_S)).type is aiohttp.WSMsgType.TEXT:
            pass
        assert message.data == 1008
        assert message.extra.startswith("DATA-0000")


async def test_a_client_that_just_goes(server: RealServer) -> None:
    """What it had sent is a call all the same."""
    async with socket(server, OPTIONS, headers=BEARER) as live:
        await live.send_bytes(PCM)
        await until(lambda: server.context.calls.active() == 1)
    await until(lambda: server.context.calls.active() == 0)
    [call] = (await server.json("GET", "/v1/calls?status=completed"))["calls"]
    told = await server.json("GET", f"/v1/calls/{call['call_id']}/transcript")
    assert told["text"].split() == said_in_turn()


async def test_a_server_that_goes(server: RealServer) -> None:
    """Whoever is connected still gets their last words, and is told why the socket closes."""
    cut = SCRIPT[0][1][-1].end_ms * LINE_RATE // 1000
    async with socket(server, f"{OPTIONS}&vad_events=true", headers=BEARER) as live:
        await live.send_bytes(MONO[:cut].tobytes())
        assert (await live.receive_json(timeout=PATIENCE_S))["type"] == "SpeechStarted"
        leaving = asyncio.create_task(leave(server.app))
        told = []
        while (message := await live.receive(timeout=PATIENCE_S)).type is aiohttp.WSMsgType.TEXT:
            told.append(message.json())
        await leaving
    assert [one["type"] for one in told] == ["Results", "Metadata"]
    assert told[0]["channel"]["alternatives"][0]["transcript"].split() == [word.word for word in SCRIPT[0][1]]
    assert message.data == 1001
    [call] = (await server.json("GET", "/v1/calls"))["calls"]
    assert call["reason"] == "drained"
