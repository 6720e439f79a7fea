"""OpenAI's own SDK, pointed at us: files in, every form of answer out."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from bridge.model.stream import Leg
from tests.real_server import KEY, RealServer
from tests.recorded import channels, file_of, said, said_in_turn
from tests.tones import DURATION_MS, SCRIPT

openai = pytest.importorskip("openai", reason="the SDK is not installed: pip install openai")

pytestmark = pytest.mark.surface("openai")

WAV = file_of("wav", channels())
TEXT = " ".join(said_in_turn())
LEGS = (Leg.CALLER, Leg.AGENT)


@pytest.fixture
async def client(server: RealServer) -> AsyncIterator[Any]:
    async with openai.AsyncOpenAI(api_key=KEY, base_url=f"{server.url}/v1", max_retries=0) as opened:
        yield opened


def wav(name: str = "monday.wav", data: bytes = WAV) -> tuple[str, io.BytesIO]:
    return name, io.BytesIO(data)


@pytest.mark.shows("a file")
@pytest.mark.shows("language choice")
async def test_words(client: Any) -> None:
    """By default the text and how long the recording is."""
    told = await client.audio.transcriptions.create(model="whisper-1", file=wav(), language="en")
    assert told.text == TEXT
    assert (told.usage.type, told.usage.seconds) == ("duration", DURATION_MS // 1000)


@pytest.mark.parametrize("container", ["mp3", "mp4", "ogg", "webm", "flac"])
async def test_formats(client: Any, container: str) -> None:
    """What the file is, is found in it."""
    file = wav(f"monday.{container}", file_of(container, channels()))
    assert (await client.audio.transcriptions.create(model="gpt-4o-transcribe", file=file)).text == TEXT


async def test_verbose(client: Any) -> None:
    """Segments by default with all that the SDK declares, the language by its name."""
    told = await client.audio.transcriptions.create(model="whisper-1", file=wav(), response_format="verbose_json")
    assert (told.language, told.duration, told.text) == ("english", DURATION_MS / 1000, TEXT)
    assert told.words is None
    assert [segment.text.split() for segment in told.segments] == [[w.word for w in words] for _, words in SCRIPT]
    for segment, (_, words) in zip(told.segments, SCRIPT, strict=True):
        assert segment.start == pytest.approx(words[0].start_ms / 1000, abs=0.1)
        assert segment.end == pytest.approx(words[-1].end_ms / 1000, abs=0.1)
        assert segment.avg_logprob < 0 < segment.compression_ratio
        assert (segment.tokens, segment.no_speech_prob, segment.temperature) == ([], 0.0, 0.0)


@pytest.mark.shows("words with times")
async def test_words_with_times(client: Any) -> None:
    """Only when they are asked for; segments only when those are."""
    told = await client.audio.transcriptions.create(
        model="whisper-1", file=wav(), response_format="verbose_json", timestamp_granularities=["word"]
    )
    assert told.segments is None
    spoken = [word for _, words in SCRIPT for word in words]
    assert [word.word for word in told.words] == [word.word for word in spoken]
    assert [word.start for word in told.words] == pytest.approx([word.start_ms / 1000 for word in spoken], abs=0.1)


@pytest.mark.shows("subtitles")
async def test_text_and_subtitles(client: Any) -> None:
    """Plain bodies, without names for the parties of a stereo file."""
    stereo = file_of("wav", channels(Leg.CALLER, Leg.AGENT))

    async def asked(form: str) -> str:
        told = await client.audio.transcriptions.create(model="whisper-1", file=wav(data=stereo), response_format=form)
        assert isinstance(told, str)
        return told

    assert await asked("text") == f"{TEXT}\n"
    srt, vtt = await asked("srt"), await asked("vtt")
    assert srt.startswith("1\n00:00:0")
    assert vtt.startswith("WEBVTT\n")
    for subtitles in (srt, vtt):
        assert [word for word in subtitles.split() if word.startswith("tone")] == said_in_turn()
        assert "Agent" not in subtitles


@pytest.mark.shows("speakers")
async def test_who_said_it(client: Any) -> None:
    """Segments with letters for speakers: two channels are at least two, in the order they are heard."""
    stereo = file_of("wav", channels(Leg.CALLER, Leg.AGENT))
    told = await client.audio.transcriptions.create(
        model="gpt-4o-transcribe-diarize", file=wav(data=stereo), response_format="diarized_json"
    )
    assert (told.text, told.duration) == (TEXT, DURATION_MS / 1000)
    assert " ".join(segment.text for segment in told.segments) == TEXT
    assert told.segments[0].speaker == "A"
    by_leg = {leg: {s.speaker for s in told.segments if s.text.split()[0] in said(leg)} for leg in LEGS}
    assert by_leg[Leg.CALLER].isdisjoint(by_leg[Leg.AGENT])


@pytest.mark.shows("streamed answers")
async def test_streaming(client: Any) -> None:
    """Deltas that only add, then all of it."""
    deltas, done = [], None
    stream = await client.audio.transcriptions.create(model="gpt-4o-transcribe", file=wav(), stream=True)
    async for event in stream:
        if event.type == "transcript.text.delta":
            deltas.append(event.delta)
        else:
            done = event
    assert len(deltas) > 1
    assert "".join(deltas) == TEXT
    assert done.type == "transcript.text.done"
    assert done.text == TEXT


@pytest.mark.shows("translation", absent="`/v1/audio/translations` is no path here")
async def test_no_translation(client: Any) -> None:
    """Nobody is told words for another language's. (The SDK's own method warns of its end.)"""
    with pytest.raises(openai.NotFoundError):
        await client.post("/audio/translations", cast_to=object, body={"model": "whisper-1"})


@pytest.mark.shows("language choice")
async def test_the_one_language_that_it_can_be(client: Any) -> None:
    """A list of one is a choice; of several it is found out."""
    for asked, language in ((["de"], "german"), (["de", "en"], "english")):
        told = await client.audio.transcriptions.create(
            model="whisper-1", file=wav(), response_format="verbose_json", extra_body={"languages": asked}
        )
        assert told.language == language


@pytest.mark.shows("faults in its shape")
async def test_faults(server: RealServer, client: Any) -> None:
    """The SDK raises what it raises at OpenAI, with what is wrong in it."""
    with pytest.raises(openai.BadRequestError) as unreadable:
        await client.audio.transcriptions.create(model="whisper-1", file=wav(data=b"no audio"))
    assert unreadable.value.code == "unreadable_recording"
    with pytest.raises(openai.BadRequestError) as form:
        await client.audio.transcriptions.create(model="whisper-1", file=wav(), response_format="yaml")
    assert form.value.param == "response_format"
    for temperature in ("warm", "nan", "inf"):
        with pytest.raises(openai.BadRequestError) as wild:
            await client.audio.transcriptions.create(
                model="whisper-1", file=wav(), extra_body={"temperature": temperature}
            )
        assert wild.value.param == "temperature"
    with pytest.raises(openai.BadRequestError):
        await client.audio.transcriptions.create(model="whisper-1", file=wav(), language="tlh")
    async with openai.AsyncOpenAI(api_key="wrong", base_url=f"{server.url}/v1", max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError) as refused:
            await stranger.audio.transcriptions.create(model="whisper-1", file=wav())
    assert refused.value.code == "invalid_api_key"


async def test_file_before_fields(server: RealServer) -> None:
    """curl sends the file first, and lists without brackets."""
    form = aiohttp.FormData()
    form.add_field("file", io.BytesIO(WAV), filename="a.wav")
    for name, value in (
        ("model", "whisper-1"),
        ("response_format", "verbose_json"),
        ("timestamp_granularities", "word"),
        ("timestamp_granularities", "segment"),
    ):
        form.add_field(name, value)
    told = await server.json("POST", "/v1/audio/transcriptions", data=form)
    assert len(told["segments"]) == len(SCRIPT)
    assert len(told["words"]) == len(said_in_turn())


async def test_without_a_file_or_a_model(server: RealServer) -> None:
    """Said in OpenAI's shape, whatever is missing or broken."""
    for form in (aiohttp.FormData({"model": "whisper-1", "x": "y"}), aiohttp.FormData({"file": "words"})):
        error = await server.fault("POST", "/v1/audio/transcriptions", status=400, data=form)
        assert set(error) == {"message", "type", "param", "code"}
        assert error["type"] == "invalid_request_error"


async def test_models(server: RealServer, client: Any) -> None:
    """Ours, and the names that clients use by default."""
    named = [model.id async for model in await client.models.list()]
    assert {"base", "whisper-1"} <= set(named)
