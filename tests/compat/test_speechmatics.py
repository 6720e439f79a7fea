"""Speechmatics' own SDK, pointed at us: live audio over a WebSocket."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

import numpy as np
import pytest

from callcodecs.g711 import encode_ulaw
from tests.compat.wire import PATIENCE_S, refused, rest, socket
from tests.real_server import KEY, RealServer
from tests.recorded import channels, file_of, said_in_turn
from tests.tones import LINE_RATE, SCRIPT

rt = pytest.importorskip("speechmatics.rt", reason="the SDK is not installed: pip install speechmatics-rt")

pytestmark = pytest.mark.surface("speechmatics")

MONO = channels()[0]
CUT = (SCRIPT[0][1][-1].end_ms + 60) * LINE_RATE // 1000
"""In the silence behind the first utterance, too short to end it."""


def raw(encoding: str) -> Any:
    return rt.AudioFormat(encoding=rt.AudioEncoding(encoding), sample_rate=LINE_RATE, chunk_size=4095)


async def told(server: RealServer, data: bytes, audio_format: Any, **asked: Any) -> list[dict[str, Any]]:
    """All that the SDK is told of some audio; `transcribe` returns with `EndOfTranscript` alone."""
    messages: list[dict[str, Any]] = []
    async with rt.AsyncClient(api_key=KEY, url=f"{server.ws_url}/v2") as client:
        for kind in rt.ServerMessageType:
            client.on(kind, messages.append)
        config = rt.TranscriptionConfig(**{"language": "en", **asked})
        await client.transcribe(
            io.BytesIO(data), transcription_config=config, audio_format=audio_format, timeout=PATIENCE_S
        )
    return messages


def of(messages: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [one for one in messages if one["message"] == kind]


@pytest.mark.shows("live audio")
@pytest.mark.shows("words with times")
@pytest.mark.shows("last words before the close")
@pytest.mark.shows("containers while they come")
@pytest.mark.shows("G.711 at 8 kHz")
@pytest.mark.parametrize(
    ("form", "data"),
    [
        pytest.param(lambda: raw("pcm_s16le"), MONO.tobytes(), id="pcm_s16le"),
        pytest.param(lambda: raw("pcm_f32le"), (MONO.astype("<f4") / 32768).tobytes(), id="pcm_f32le"),
        pytest.param(lambda: raw("mulaw"), encode_ulaw(MONO), id="mulaw"),
        pytest.param(lambda: rt.AudioFormat(chunk_size=4095), file_of("mp3", channels()), id="a-file"),
    ],
)
async def test_words_as_they_are_said(server: RealServer, form: Any, data: bytes) -> None:
    """A transcript for each stretch of speech; every frame of audio is counted; `EndOfTranscript` is the last word."""
    messages = await told(server, data, form())
    finals = of(messages, "AddTranscript")
    assert [one["metadata"]["transcript"].split() for one in finals] == [[w.word for w in ws] for _, ws in SCRIPT]
    for one, (_, words) in zip(finals, SCRIPT, strict=True):
        result = rt.TranscriptResult.from_message(one)
        assert [found.alternatives[0].content for found in result.results] == [word.word for word in words]
        assert result.results[0].start_time == pytest.approx(words[0].start_ms / 1000, abs=0.1)
        assert all(0 < found.alternatives[0].confidence <= 1 for found in result.results)
    counted = [one["seq_no"] for one in of(messages, "AudioAdded")]
    assert counted == list(range(1, len(counted) + 1))
    assert len(counted) == -(-len(data) // 4095)
    assert messages[0]["message"] == "RecognitionStarted"
    assert messages[-1]["message"] == "EndOfTranscript"
    assert not of(messages, "EndOfUtterance")


@pytest.mark.shows("endpointing")
@pytest.mark.shows("keywords")
async def test_ends_of_utterances(server: RealServer) -> None:
    """Told behind the last words, where the silence is asked for."""
    talk = rt.ConversationConfig(end_of_utterance_silence_trigger=0.4)
    messages = await told(
        server, MONO.tobytes(), raw("pcm_s16le"), conversation_config=talk, additional_vocab=[{"content": "tone"}]
    )
    kinds = [one["message"] for one in messages if one["message"] in {"AddTranscript", "EndOfUtterance"}]
    assert kinds == ["AddTranscript", "EndOfUtterance"] * len(SCRIPT)


@pytest.mark.shows("interim results", differs="words that are not final yet have estimated times")
@pytest.mark.shows("finalize")
async def test_partials_and_forced_ends(server: RealServer) -> None:
    """Partials while somebody speaks, when they are asked for; an end that the client forces comes at once."""
    for wanted in (True, False):
        start = {
            "message": "StartRecognition",
            "audio_format": {"type": "raw", "encoding": "pcm_s16le", "sample_rate": LINE_RATE},
            "transcription_config": {"language": "en", "enable_partials": wanted},
        }
        async with socket(server, "/v2/") as live:
            await live.send_json(start)
            for at in range(0, CUT, 1600):
                await live.send_bytes(MONO[at : at + 1600].tobytes())
                await asyncio.sleep(0.015)  # time for a partial
            await live.send_json({"message": "ForceEndOfUtterance"})
            messages = [await live.receive_json(timeout=PATIENCE_S)]
            while messages[-1]["message"] != "EndOfUtterance":
                messages.append(await live.receive_json(timeout=PATIENCE_S))
            await live.send_json({"message": "SetRecognitionConfig", "transcription_config": {"max_delay": 1}})
            await live.send_json({"message": "EndOfStream", "last_seq_no": 1})
            last = await rest(live)
        assert bool(of(messages, "AddPartialTranscript")) is wanted
        assert messages[-2]["metadata"]["transcript"].split() == [word.word for word in SCRIPT[0][1]]
        assert [one["message"] for one in last] == ["Warning", "EndOfTranscript"]


@pytest.mark.shows("short-lived tokens", differs="made with `POST /v1/tokens`")
async def test_tokens_of_browsers(server: RealServer) -> None:
    """They come in the address; a key does not."""
    made = await server.json(
        "POST", "/v1/tokens", json={"identity": "desk", "scopes": ["media", "calls:read"]}, status=201
    )
    async with socket(server, f"/v2?jwt={made['token']}", headers={}) as live:
        await live.close()
    assert await refused(server, f"/v2?jwt={KEY}", headers={}) == 401
    assert await refused(server, "/v2", headers={"Authorization": "Bearer wrong"}) == 401


RAW = {"type": "raw", "encoding": "pcm_s16le", "sample_rate": 8000}


@pytest.mark.shows("faults in its shape")
@pytest.mark.parametrize(
    ("message", "kind"),
    [
        pytest.param("{", "invalid_message", id="no-json"),
        pytest.param(b"audio", "protocol_error", id="audio-first"),
        pytest.param({"message": "EndOfStream"}, "protocol_error", id="the-end-first"),
        pytest.param({"message": "StartRecognition"}, "invalid_config", id="no-config"),
        pytest.param(
            {"message": "StartRecognition", "audio_format": RAW, "transcription_config": {"language": "tlh"}},
            "invalid_config",
            id="a-language-nobody-writes",
        ),
        pytest.param(
            {"message": "StartRecognition", "audio_format": {"type": "raw"}, "transcription_config": {}},
            "invalid_audio_type",
            id="no-encoding",
        ),
    ],
)
async def test_what_is_wrong_ends_the_session(server: RealServer, message: Any, kind: str) -> None:
    """With Speechmatics' name for it."""
    async with socket(server, "/v2") as live:
        if isinstance(message, bytes):
            await live.send_bytes(message)
        else:
            await live.send_str(message if isinstance(message, str) else json.dumps(message))
        [error] = await rest(live)
        assert live.close_code == 1008
    assert (error["message"], error["type"]) == ("Error", kind)


async def test_what_is_no_audio(server: RealServer) -> None:
    """Bytes that are no file are the client's fault."""
    noise = np.random.default_rng(1).bytes(40_000)
    async with socket(server, "/v2") as live:
        start = {"message": "StartRecognition", "audio_format": {"type": "file"}, "transcription_config": {}}
        await live.send_json(start)
        await live.send_bytes(b"no audio" + noise)
        await live.send_json({"message": "EndOfStream", "last_seq_no": 1})
        messages = await rest(live)
        assert live.close_code == 1008
    assert of(messages, "Error")[0]["type"] == "data_error"


@pytest.mark.shows("language found out")
async def test_found_out(server: RealServer) -> None:
    """`auto` is a language, too."""
    assert [
        word
        for one in of(await told(server, MONO.tobytes(), raw("pcm_s16le"), language="auto"), "AddTranscript")
        for word in one["metadata"]["transcript"].split()
    ] == said_in_turn()
