"""Telnyx's own SDK, pointed at us: live audio over a WebSocket."""

from __future__ import annotations

import asyncio
import json
import struct
from typing import Any

import pytest

from callcodecs.g711 import encode_ulaw
from tests.compat.wire import PATIENCE_S, refused, rest, socket
from tests.real_server import KEY, RealServer
from tests.recorded import channels, file_of, said_in_turn
from tests.tones import LINE_RATE, SCRIPT

stt = pytest.importorskip("telnyx.lib.speech_to_text_ws", reason="the SDK is not installed: pip install telnyx")

pytestmark = pytest.mark.surface("telnyx")

LIVE = "/v2/speech-to-text/transcription"
MONO = channels()[0]
CUT = (SCRIPT[0][1][-1].end_ms + 60) * LINE_RATE // 1000
"""In the silence behind the first utterance, too short to end it."""
FIRST = " ".join(word.word for word in SCRIPT[0][1])
RAW = f"input_format=linear16&sample_rate={LINE_RATE}"


async def session(server: RealServer, data: bytes, *, key: str = KEY, **asked: Any) -> list[Any]:
    """Everything the SDK is told of some audio, until the server closes, as it does after CloseStream."""
    params = stt.SpeechToTextStreamParams(transcription_engine="telnyx", **asked)
    async with stt.AsyncSpeechToTextWS(api_key=key, params=params, base_url=f"{server.url}/v2") as live:
        for at in range(0, len(data), 2048):
            await live.send(data[at : at + 2048])
        await live._ws.send(json.dumps({"type": "CloseStream"}))
        async with asyncio.timeout(PATIENCE_S):
            return [event async for event in live.events()]


def endless_wav() -> bytes:
    """With the sizes that a client writes who does not know them yet."""
    header = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 0x7FFFFFFF, b"WAVE", b"fmt ", 16, 1, 1, 16000, 32000, 2, 16)
    return header + struct.pack("<4sI", b"data", 0x7FFFFFFF - 36) + MONO.tobytes()


@pytest.mark.shows("live audio")
@pytest.mark.shows("words with times")
@pytest.mark.shows("last words before the close")
@pytest.mark.shows("containers while they come")
@pytest.mark.shows("G.711 at 8 kHz")
@pytest.mark.parametrize(
    ("asked", "data"),
    [
        pytest.param({}, file_of("mp3", channels()), id="mp3-by-default"),
        pytest.param({"input_format": "wav"}, endless_wav(), id="wav-of-no-known-length"),
        pytest.param({"input_format": "webm_opus"}, file_of("webm", channels()), id="webm"),
        pytest.param({"input_format": "linear16", "sample_rate": LINE_RATE}, MONO.tobytes(), id="samples"),
        pytest.param({"input_format": "mulaw", "sample_rate": LINE_RATE}, encode_ulaw(MONO), id="mulaw"),
    ],
)
async def test_words_as_they_are_said(server: RealServer, asked: dict[str, Any], data: bytes) -> None:
    """A final for each stretch of speech with its place, its words and how sure they are, whatever the format."""
    finals = await session(server, data, language="en-US", **asked)
    assert {event.type for event in finals} == {"transcript"}
    assert [event.transcript.split() for event in finals] == [[w.word for w in words] for _, words in SCRIPT]
    for event, (_, words) in zip(finals, SCRIPT, strict=True):
        assert event.is_final is True
        assert 0 < event.confidence <= 1
        assert event.words[0].start == pytest.approx(words[0].start_ms / 1000, abs=0.1)
        assert event.start_time <= event.words[0].start
        assert event.start_time + event.duration >= event.words[-1].end - 0.05


@pytest.mark.shows("interim results")
async def test_interim_results(server: RealServer) -> None:
    """They come while somebody speaks, only when asked for, and are not sure of anything."""
    for wanted in (True, False):
        interim = []
        async with socket(server, f"{LIVE}?{RAW}&interim_results={str(wanted).lower()}") as live:
            for at in range(0, CUT, 1600):
                await live.send_bytes(MONO[at : at + 1600].tobytes())
                await asyncio.sleep(0.015)  # time for a partial
            await live.send_str(json.dumps({"type": "CloseStream"}))
            interim = [one for one in await rest(live) if not one["is_final"]]
        assert bool(interim) is wanted
        assert all(one["confidence"] == 0.0 and one["speech_final"] is False for one in interim)


async def test_a_file_is_decoded_while_it_comes(server: RealServer) -> None:
    """The first words are told long before the last byte."""
    mp3 = file_of("mp3", channels())
    async with socket(server, LIVE) as live:
        for at in range(0, len(mp3) // 2, 1024):
            await live.send_bytes(mp3[at : at + 1024])
        assert (await live.receive_json(timeout=PATIENCE_S))["transcript"] == FIRST
        await live.send_bytes(mp3[at + 1024 :])
        await live.send_str(json.dumps({"type": "CloseStream"}))
        told = [FIRST, *(one["transcript"] for one in await rest(live))]
        assert live.close_code == 1000
    assert " ".join(told).split() == said_in_turn()


@pytest.mark.shows("finalize")
async def test_finalize(server: RealServer) -> None:
    """What was said so far comes at once; with nothing left there is an empty final; unknown messages do nothing."""
    async with socket(server, f"{LIVE}?{RAW}") as live:
        await live.send_str("nothing that is JSON")
        await live.send_bytes(MONO[:CUT].tobytes())
        for words in (FIRST, ""):
            await live.send_str(json.dumps({"type": "Finalize"}))
            told = await live.receive_json(timeout=PATIENCE_S)
            assert (told["transcript"], told["is_final"]) == (words, True)
        await live.send_str(json.dumps({"type": "CloseStream"}))
        assert await rest(live) == []


@pytest.mark.shows("words of a client that just goes quiet")
async def test_a_client_that_just_goes_quiet(server: RealServer) -> None:
    """Who sends no more and says nothing still gets the last words."""
    async with socket(server, f"{LIVE}?{RAW}") as live:
        await live.send_bytes(MONO[:CUT].tobytes())
        assert (await live.receive_json(timeout=5))["transcript"] == FIRST


@pytest.mark.shows("faults in its shape")
@pytest.mark.parametrize(
    ("query", "code", "parameter"),
    [
        pytest.param("input_format=cassette", "40001", "input_format", id="no-such-format"),
        pytest.param("input_format=g729&sample_rate=8000", "40002", "input_format", id="nobody-decodes-it"),
        pytest.param("input_format=linear16", "40003", "sample_rate", id="no-rate"),
        pytest.param("input_format=linear16&sample_rate=fast", "40004", "sample_rate", id="no-number"),
        pytest.param("input_format=linear16&sample_rate=12", "40005", "sample_rate", id="too-slow"),
        pytest.param("transcription_engine=Steam", "40007", "transcription_engine", id="no-such-engine"),
        pytest.param("language=tlh", "40000", "language", id="a-language-nobody-writes"),
    ],
)
async def test_what_is_wrong_is_said_on_the_socket(server: RealServer, query: str, code: str, parameter: str) -> None:
    """In every shape that its clients look for, then the socket is closed."""
    async with socket(server, f"{LIVE}?{query}") as live:
        [told] = await rest(live)
        assert live.close_code == 1008
    assert told["type"] == "error"
    assert told["error"] == told["errors"][0]["detail"]
    assert told["errors"][0]["code"] == code
    assert told["errors"][0]["source"] == {"parameter": parameter}


async def test_strangers(server: RealServer) -> None:
    """Without a key no socket opens, and the SDK says so."""
    with pytest.raises(stt.SpeechToTextWSError):
        await session(server, b"", key="wrong")
    assert await refused(server, LIVE, headers={}) == 401
    told = await server.json("GET", LIVE, status=400)
    assert set(told["errors"][0]) == {"code", "title", "detail"}


async def test_what_is_no_audio(server: RealServer) -> None:
    """Bytes that are no MP3 are the client's fault."""
    async with socket(server, LIVE) as live:
        await live.send_bytes(b"this is not audio at all" * 2000)
        await live.send_str(json.dumps({"type": "CloseStream"}))
        told = await rest(live)
        assert live.close_code == 1008
    assert told[-1]["type"] == "error"
