"""Telnyx's own SDK, pointed at us: recordings, and which engines there are."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.model.stream import Leg
from tests.real_server import KEY, RealServer
from tests.recorded import channels, file_of, said, said_in_turn
from tests.tones import DURATION_MS, SCRIPT

telnyx = pytest.importorskip("telnyx", reason="the SDK is not installed: pip install telnyx")

pytestmark = pytest.mark.surface("telnyx")

MONO = file_of("mp3", channels())
STEREO = file_of("wav", channels(Leg.CALLER, Leg.AGENT))
SPOKEN = [word for _, words in SCRIPT for word in words]
ASKED = {"model": "openai/whisper-large-v3-turbo"}


@pytest.fixture
async def client(server: RealServer) -> AsyncIterator[Any]:
    async with telnyx.AsyncTelnyx(api_key=KEY, base_url=f"{server.url}/v2", max_retries=0) as found:
        yield found


@pytest.mark.shows("a file")
@pytest.mark.shows("words with times")
async def test_a_file(client: Any) -> None:
    """Its text alone; with `verbose_json` its segments and their words, in their places."""
    told = await client.ai.audio.transcribe(**ASKED, file=("monday.mp3", MONO))
    assert (told.text.split(), told.segments, told.words) == (said_in_turn(), None, None)
    told = await client.ai.audio.transcribe(**ASKED, file=("monday.mp3", MONO), response_format="verbose_json")
    assert told.duration == pytest.approx(DURATION_MS / 1000, abs=0.1)
    assert [segment.text.split() for segment in told.segments] == [[w.word for w in words] for _, words in SCRIPT]
    words = [word for segment in told.segments for word in segment.words]
    assert [word.start for word in words] == pytest.approx([word.start_ms / 1000 for word in SPOKEN], abs=0.1)


@pytest.mark.shows("channels apart")
async def test_channels_and_words(client: Any) -> None:
    """As `model_config` says, which its SDK writes in brackets."""
    told = await client.ai.audio.transcribe(
        model="deepgram/nova-3",
        file=("call.wav", STEREO),
        response_format="verbose_json",
        model_config={"multichannel": True, "smart_format": True},
    )
    by_channel = [[s.text for s in told.segments if s.channel == channel] for channel in (0, 1)]
    assert [" ".join(texts).split() for texts in by_channel] == [said(Leg.CALLER), said(Leg.AGENT)]
    assert [word.punctuated_word for word in told.words] == [word.word for word in SPOKEN]
    assert all(0 < word.confidence <= 1 for word in told.words)


@pytest.mark.shows("by its address")
async def test_by_its_address(client: Any) -> None:
    """A recording that is fetched."""

    async def monday(_: web.Request) -> web.Response:
        return web.Response(body=io.BytesIO(MONO), content_type="audio/mpeg")

    shop = web.Application()
    shop.router.add_get("/monday.mp3", monday)
    async with TestServer(shop, host="127.0.0.1") as running:
        where = str(running.make_url("/monday.mp3"))
        told = await client.ai.audio.transcribe(**ASKED, file_url=where, language="en-US")
    assert told.text.split() == said_in_turn()


@pytest.mark.shows("language list")
async def test_engines_and_their_languages(client: Any) -> None:
    """Whatever may be named is listed; what Telnyx does elsewhere is not."""
    told = await client.speech_to_text.list_providers()
    assert told.meta.total == len(told.data) == len({one.provider for one in told.data})
    [one] = (await client.speech_to_text.list_providers(provider="deepgram", service_type="file_based")).data
    assert ([each.type for each in one.service_types], one.provider) == (["file_based"], "deepgram")
    assert {"auto", "en"} <= set(one.service_types[0].languages)
    assert (await client.speech_to_text.list_providers(service_type="in_call")).data == []


@pytest.mark.shows("faults in its shape")
@pytest.mark.parametrize(
    "asked",
    [
        pytest.param({"model": ""}, id="no-model"),
        pytest.param({}, id="no-file"),
        pytest.param({"file": ("a.wav", b"no audio")}, id="no-audio"),
        pytest.param({"file": ("a.wav", STEREO), "response_format": "srt"}, id="no-such-format"),
        pytest.param({"file": ("a.wav", STEREO), "language": "tlh"}, id="no-such-language"),
        pytest.param({"file": ("a.wav", STEREO), "file_url": "https://example.org/a.wav"}, id="two-recordings"),
        pytest.param({"file_url": "http://10.0.0.7/a.wav"}, id="an-address-inside"),
        pytest.param({"file": ("a.wav", STEREO), "extra_body": {"model_config": "yes"}}, id="no-object"),
    ],
)
async def test_faults(client: Any, asked: dict[str, Any]) -> None:
    """The SDK raises what it raises at Telnyx, with what is wrong in it."""
    with pytest.raises(telnyx.BadRequestError) as fault:
        await client.ai.audio.transcribe(**{**ASKED, **asked})
    [error] = fault.value.body["errors"]
    assert {"code", "title", "detail"} <= set(error)


async def test_strangers(server: RealServer) -> None:
    """Who has no key is told so."""
    async with telnyx.AsyncTelnyx(api_key="wrong", base_url=f"{server.url}/v2", max_retries=0) as stranger:
        with pytest.raises(telnyx.AuthenticationError):
            await stranger.ai.audio.transcribe(**ASKED, file=("a.wav", STEREO))
        with pytest.raises(telnyx.AuthenticationError):
            await stranger.speech_to_text.list_providers()
