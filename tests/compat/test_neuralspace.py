"""NeuralSpace's own SDK, pointed at us: languages, tokens, live audio and jobs. It is synchronous: it gets a thread."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import pytest

from tests.compat.wire import PATIENCE_S, refused, rest, socket
from tests.real_server import KEY, RealServer
from tests.recorded import channels, file_of, said_in_turn
from tests.tones import DURATION_MS, LINE_RATE, SCRIPT

neuralspace = pytest.importorskip("neuralspace", reason="the SDK is not installed: pip install neuralspace")

pytestmark = pytest.mark.surface("neuralspace")

LIVE = "/voice/stream/live/transcribe"
MONO = channels()[0]
PCM = MONO.tobytes()
CUT = (SCRIPT[0][1][-1].end_ms + 60) * LINE_RATE // 1000
"""In the silence behind the first utterance, too short to end it."""
SPEECH_MS = SCRIPT[0][1][-1].end_ms - SCRIPT[0][1][0].start_ms


@pytest.fixture
def sdk(server: RealServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Its addresses are read when it is imported, and it turns only https into a WebSocket's."""
    for name, path in (("TOKEN", "api/v2/token"), ("LANGS", "api/v2/languages"), ("JOBS", "api/v2/jobs")):
        monkeypatch.setattr(neuralspace.constants, f"FULL_{name}_URL", f"{server.url}/{path}")
    monkeypatch.setattr(neuralspace.constants, "FULL_STREAM_URL", f"{server.ws_url}{LIVE}")
    client = neuralspace.VoiceAI(api_key=KEY)
    yield client
    client.close()


async def stream(sdk: Any, data: bytes, done: Callable[[list[dict[str, Any]]], bool], **asked: Any) -> list[Any]:
    """What the SDK is told of some audio until `done`."""

    def converse() -> list[Any]:
        told: list[Any] = []
        with sdk.stream("en", timeout=PATIENCE_S, **asked) as live:
            for at in range(0, len(data), 3201):
                live.send_binary(data[at : at + 3201])
            while not done(told):
                told.append(json.loads(live.recv()))
        return told

    return await asyncio.to_thread(converse)


def full(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in told if one["full"]]


def said(told: list[dict[str, Any]]) -> list[str]:
    return [word for one in full(told) for word in one["text"].split()]


@pytest.mark.shows("live audio")
@pytest.mark.shows("short-lived tokens")
@pytest.mark.shows("words of a client that just goes quiet")
async def test_chunks(sdk: Any) -> None:
    """A full result for each stretch of speech, numbered, with its place; the last without another byte."""
    told = await stream(sdk, PCM, lambda told: len(said(told)) == len(said_in_turn()), vad_min_silence=0.4)
    told = full(told)
    assert said(told) == said_in_turn()
    assert [one["chunk_id"] for one in told] == list(range(len(told)))
    assert len({one["stream_id"] for one in told}) == 1
    for one, (_, words) in zip(told, SCRIPT, strict=True):
        assert one["start_time"] == pytest.approx(words[0].start_ms / 1000, abs=0.1)
        assert one["end_time"] == pytest.approx(words[-1].end_ms / 1000, abs=0.1)
        assert one["send_time"] > 1.6e9


@pytest.mark.shows("interim results")
async def test_partial_results(server: RealServer) -> None:
    """They come while somebody speaks with the number of the full one, no more often than is asked for."""
    token = (await server.json("GET", "/api/v2/token"))["data"]["token"]
    counts = {}
    for query in ("min_chunk_size=0.2", "min_chunk_size=5&max_chunk_size=6", "disable_partial=True"):
        async with socket(server, f"{LIVE}/en/{token}/s1?vad_min_silence=2&{query}", headers={}) as live:
            for at in range(0, CUT, 1600):
                await live.send_bytes(MONO[at : at + 1600].tobytes())
                await asyncio.sleep(0.015)  # time for a partial
            await live.send_str(json.dumps({"type": "finalize"}))
            told = [await live.receive_json(timeout=PATIENCE_S)]
            while not told[-1]["full"]:
                told.append(await live.receive_json(timeout=PATIENCE_S))
        assert all({"text", "full"} <= set(one) for one in told)
        assert {one["chunk_id"] for one in told} == {0}
        counts[query] = len(told) - 1
    assert counts.pop("min_chunk_size=0.2") > 0
    assert set(counts.values()) == {0}


@pytest.mark.shows("chunks of a longest size")
async def test_the_longest_chunk(sdk: Any) -> None:
    """Speech that goes on is told all the same, in pieces no longer than asked for."""
    longest_s = 1.0
    told = await stream(
        sdk,
        MONO[:CUT].tobytes(),
        lambda told: len(said(told)) >= len(SCRIPT[0][1]),
        min_chunk_size=0,
        max_chunk_size=longest_s,
        vad_min_silence=2,
        disable_partial=True,
    )
    assert longest_s * 1000 < SPEECH_MS
    assert len(full(told)) > 1
    assert all(one["end_time"] - one["start_time"] <= longest_s + 0.05 for one in told)


@pytest.mark.shows("language list")
async def test_languages(sdk: Any) -> None:
    """Those that the model writes."""
    assert {"en", "de", "hi"} <= set(await asyncio.to_thread(sdk.languages, "stream"))
    with pytest.raises(ValueError, match="400"):
        await asyncio.to_thread(sdk.languages, "opera")


async def test_half_as_many_samples(sdk: Any) -> None:
    """`pcm_8k` is taken for what it is: every other sample is said at the same place."""
    narrow = MONO[::2].tobytes()
    told = await stream(sdk, narrow, lambda told: len(said(told)) == len(said_in_turn()), audio_format="pcm_8k")
    assert said(told) == said_in_turn()
    assert full(told)[-1]["start_time"] == pytest.approx(SCRIPT[-1][1][0].start_ms / 1000, abs=0.1)


@pytest.mark.shows("a file")
@pytest.mark.shows("words with times", differs="in jobs alone, as at NeuralSpace")
async def test_jobs(sdk: Any) -> None:
    """A recording becomes a job that the SDK waits for, then deletes."""
    config = {"file_transcription": {"language_id": "en", "mode": "advanced"}}

    def order() -> tuple[str, Any]:
        job_id = sdk.transcribe(file=file_of("wav", channels()), config=config)
        return job_id, sdk.poll_until_complete(job_id, poll_schedule=[0.1] * 100)

    job_id, result = await asyncio.to_thread(order)
    assert result["data"]["status"] == "Completed"
    told = result["data"]["result"]["transcription"]
    assert told["transcript"].split() == said_in_turn()
    assert [stamp["word"] for stamp in told["timestamps"]] == said_in_turn()
    assert job_id == result["data"]["jobId"]


@pytest.mark.shows("recordings kept, listed, deleted")
async def test_jobs_are_listed_and_deleted(server: RealServer) -> None:
    """The newest first, by pages; phone calls and streams are none. One that is deleted is gone."""

    async def order() -> str:
        form = aiohttp.FormData()
        form.add_field("files", file_of("wav", channels()), filename="monday.wav")
        found: str = (await server.json("POST", "/api/v1/jobs/", data=form))["data"]["jobId"]
        await server.context.transcriber.finished("default", found)  # the next one begins in a later millisecond
        return found

    token = (await server.json("GET", "/api/v2/token"))["data"]["token"]
    async with socket(server, f"{LIVE}/en/{token}/s1", headers={}) as live:
        await live.send_bytes(MONO[:CUT].tobytes())
        await live.close()
    other, job_id = await order(), await order()
    pages = [(await server.json("GET", f"/api/v2/jobs?page={page}&pageSize=1"))["data"] for page in (1, 2, 3)]
    assert [[job["jobId"] for job in page["jobs"]] for page in pages] == [[job_id], [other], []]
    assert {(page["total"], page["pageSize"]) for page in pages} == {(2, 1)}
    assert (pages[0]["jobs"][0]["status"], pages[0]["jobs"][0]["audioDuration"]) == ("Completed", DURATION_MS / 1000)
    told = await server.json("DELETE", f"/api/v2/jobs/{job_id}")
    assert told["data"] == {"deletedCount": 1}
    assert (await server.json("GET", f"/api/v2/jobs/{job_id}", status=404))["success"] is False


@pytest.mark.shows("lists of words kept", absent="`/api/v2/dicts` is no path here")
async def test_no_dictionaries(server: RealServer) -> None:
    """There are none to be had."""
    await server.fault("POST", "/api/v2/dicts", json={"name": "products", "words": ["callbridge"]}, status=404)


@pytest.mark.shows("faults in its shape")
async def test_what_is_wrong_opens_nothing(server: RealServer, capsys: pytest.CaptureFixture[str]) -> None:
    """A token that is none, or a key in its place; a language or parameter that is not understood. No log has it."""
    token = (await server.json("GET", "/api/v2/token?duration=60.5"))["data"]["token"]
    for wrong in ("none", KEY):
        assert await refused(server, f"{LIVE}/en/{wrong}/s1", headers={}) == 401
    for path in (
        f"tlh/{token}/s1",
        f"en/{token}/s1?format=mp3",
        f"en/{token}/s1?min_chunk_size=5&max_chunk_size=2",
        f"en/{token}/s1?disable_partial=perhaps",
        f"en/{token}/s1?vad_threshold=2",
    ):
        assert await refused(server, f"{LIVE}/{path}", headers={}) == 400
    async with socket(server, f"{LIVE}/en/{token}/s1?noise_level=0.0", headers={}) as live:
        await live.send_bytes(MONO[:CUT].tobytes())
        await live.send_bytes(b"")
        assert (await live.receive_json(timeout=PATIENCE_S))["full"] is True
        await live.close()
        assert await rest(live) == []
    assert set(await server.json("GET", "/api/v2/languages?type=x", status=400)) == {"success", "message"}
    logged = capsys.readouterr().out
    assert f"path={LIVE}/tlh/…/s1" in logged
    assert token not in logged
