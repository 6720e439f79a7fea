"""Deepgram's own SDK, pointed at us: recordings over HTTP."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.model.stream import Leg
from tests.compat.receiver import customer
from tests.real_server import KEY, RealServer
from tests.recorded import channels, file_of, mulaw_of, said, said_in_turn
from tests.tones import DURATION_MS, SCRIPT

pytest.importorskip("deepgram", reason="the SDK is not installed: pip install deepgram-sdk")

from deepgram import ListenV1Response

from tests.compat.deepgram_client import ApiError, pointed  # which imports the SDK

pytestmark = pytest.mark.surface("deepgram")

MONO = file_of("wav", channels())
STEREO = file_of("wav", channels(Leg.CALLER, Leg.AGENT))


@pytest.fixture
async def client(server: RealServer) -> AsyncIterator[Any]:
    async with pointed(server, api_key=KEY) as opened:
        yield opened


@pytest.mark.shows("a file")
@pytest.mark.shows("words with times")
async def test_words(client: Any) -> None:
    """One channel, its words with times, and every field that the SDK declares."""
    told = await client.listen.v1.media.transcribe_file(request=MONO, model="nova-3")
    [channel] = told.results.channels
    [alternative] = channel.alternatives
    assert alternative.transcript.split() == said_in_turn()
    spoken = [word for _, words in SCRIPT for word in words]
    assert [word.word for word in alternative.words] == [word.word for word in spoken]
    assert [word.start for word in alternative.words] == pytest.approx([w.start_ms / 1000 for w in spoken], abs=0.1)
    assert all(0 < word.confidence <= 1 for word in alternative.words)
    about = told.metadata
    assert (about.duration, about.channels) == (DURATION_MS / 1000, 1)
    assert about.sha256 == hashlib.sha256(MONO).hexdigest()
    assert about.request_id
    assert about.created.tzinfo is not None
    [model] = about.models
    assert about.model_info[model]["arch"] == "whisper"
    assert told.results.utterances is None
    assert all(word.speaker is None for word in alternative.words)


@pytest.mark.shows("redaction", absent="passed over")
@pytest.mark.shows("summaries, topics, sentiment", absent="passed over, and left out")
async def test_what_is_not_built(client: Any) -> None:
    """It is accepted; nothing is made up for it."""
    told = await client.listen.v1.media.transcribe_file(
        request=MONO, summarize="v2", topics=True, intents=True, sentiment=True, redact="pii", filler_words=True
    )
    assert told.results.channels[0].alternatives[0].transcript.split() == said_in_turn()
    assert {"summary", "topics", "intents", "sentiments"}.isdisjoint(told.results.dict(exclude_unset=True))


@pytest.mark.shows("channels apart")
async def test_channels_apart(client: Any) -> None:
    """With multichannel each party has a channel, else there is one with all that was said; diarize changes nothing."""
    apart = await client.listen.v1.media.transcribe_file(request=STEREO, multichannel=True, diarize=True)
    texts = [channel.alternatives[0].transcript.split() for channel in apart.results.channels]
    assert texts == [said(Leg.CALLER), said(Leg.AGENT)]
    together = await client.listen.v1.media.transcribe_file(request=STEREO)
    assert [c.alternatives[0].transcript.split() for c in together.results.channels] == [said_in_turn()]


@pytest.mark.shows("utterances")
async def test_utterances(client: Any) -> None:
    """What is said without a silence of utt_split, by start, each with its channel."""
    told = await client.listen.v1.media.transcribe_file(request=STEREO, multichannel=True, utterances=True)
    utterances = told.results.utterances
    assert [one.transcript.split() for one in utterances] == [[w.word for w in words] for _, words in SCRIPT]
    assert [one.channel for one in utterances] == [0 if leg is Leg.CALLER else 1 for leg, _ in SCRIPT]
    fewer = await client.listen.v1.media.transcribe_file(request=MONO, utterances=True, utt_split=60)
    assert [one.transcript.split() for one in fewer.results.utterances] == [said_in_turn()]


async def test_punctuation(client: Any) -> None:
    """Words are plain unless punctuation is asked for; then they come both ways, and in paragraphs."""
    plain = await client.listen.v1.media.transcribe_file(request=MONO)
    assert not hasattr(plain.results.channels[0].alternatives[0].words[0], "punctuated_word")
    smart = await client.listen.v1.media.transcribe_file(request=MONO, smart_format=True)
    alternative = smart.results.channels[0].alternatives[0]
    assert alternative.words[0].punctuated_word == alternative.words[0].word
    paragraphs = alternative.paragraphs.paragraphs
    assert sum(one.num_words for one in paragraphs) == len(said_in_turn())
    assert " ".join(s.text for one in paragraphs for s in one.sentences).split() == said_in_turn()


@pytest.mark.shows("G.711 at 8 kHz")
async def test_samples_without_a_header(client: Any) -> None:
    """As the parameters say."""
    raw = mulaw_of(channels(Leg.CALLER, Leg.AGENT))
    options = {"additional_query_parameters": {"sample_rate": "16000", "channels": "2"}}
    told = await client.listen.v1.media.transcribe_file(
        request=raw, encoding="mulaw", multichannel=True, request_options=options
    )
    assert told.results.channels[1].alternatives[0].transcript.split() == said(Leg.AGENT)


@pytest.mark.shows("by its address")
@pytest.mark.shows("language found out")
async def test_by_its_address(client: Any) -> None:
    """A recording that is fetched; the language is found out when that is asked for."""

    async def monday(_: web.Request) -> web.Response:
        return web.Response(body=io.BytesIO(MONO), content_type="audio/wav")

    shop = web.Application()
    shop.router.add_get("/monday.wav", monday)
    async with TestServer(shop, host="127.0.0.1") as running:
        url = str(running.make_url("/monday.wav"))
        told = await client.listen.v1.media.transcribe_url(url=url, detect_language=True, keyterm=["Harbor Lane"])
    assert told.results.channels[0].alternatives[0].transcript.split() == said_in_turn()
    assert told.results.channels[0].detected_language == "en"


@pytest.mark.shows("faults in its shape")
async def test_faults(server: RealServer, client: Any) -> None:
    """In Deepgram's shape, with the status that its SDK knows."""
    with pytest.raises(ApiError) as unreadable:
        await client.listen.v1.media.transcribe_file(request=b"no audio at all")
    assert unreadable.value.status_code == 400
    assert set(unreadable.value.body) == {"err_code", "err_msg", "request_id"}
    with pytest.raises(ApiError) as inside:
        await client.listen.v1.media.transcribe_url(url="http://192.168.0.1/a.wav")
    assert inside.value.status_code == 400
    async with pointed(server, api_key="wrong") as stranger:
        with pytest.raises(ApiError) as refused:
            await stranger.listen.v1.media.transcribe_file(request=MONO)
    assert (refused.value.status_code, refused.value.body["err_code"]) == (401, "INVALID_AUTH")
    async with server.session.get("/v1/listen") as answer:
        assert answer.status == 400
        assert answer.headers["dg-request-id"] == (await answer.json())["request_id"]


@pytest.mark.shows("a callback of its own")
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_callback(server: RealServer, client: Any, method: str) -> None:
    """The id at once; then the same answer as without, at the address that was given, as it was asked for."""
    asked = {"request": STEREO, "multichannel": True, "utterances": True, "punctuate": True, "tag": "a"}
    waited = await client.listen.v1.media.transcribe_file(**asked)
    async with customer() as app:
        told = await client.listen.v1.media.transcribe_file(**asked, callback=f"{app.url}?n=7", callback_method=method)
        came = await app.next()
    body = json.loads(came.text)
    assert (came.method, came.path, came.headers["dg-token"]) == (method, "/done?n=7", "bootstrap")
    assert told.request_id == body["metadata"]["request_id"]
    called_back = ListenV1Response(**body)
    assert called_back.results == waited.results
    assert called_back.metadata.tags == ["a"]
    assert called_back.metadata.models == waited.metadata.models


async def test_a_callback_that_nothing_comes_of(client: Any) -> None:
    """What cannot be fetched is told there as a fault; an address inside the server's network is refused at once."""
    async with customer() as app:
        told = await client.listen.v1.media.transcribe_url(url=f"{app.url}/nothing.wav", callback=app.url)
        assert (await app.next()).method == "GET"
        fault = json.loads((await app.next()).text)
    assert (fault["request_id"], set(fault)) == (told.request_id, {"err_code", "err_msg", "request_id"})
    for wrong in ({"callback": "http://10.0.0.7/"}, {"callback": "https://x.example.org", "callback_method": "get"}):
        with pytest.raises(ApiError) as refused:
            await client.listen.v1.media.transcribe_file(request=MONO, **wrong)
        assert refused.value.status_code == 400


@pytest.mark.shows("short-lived tokens")
async def test_short_lived_tokens(server: RealServer, client: Any) -> None:
    """What `auth/grant` gives opens a session, sent as the SDK sends it."""
    granted = await client.auth.v1.tokens.grant(ttl_seconds=60)
    assert granted.expires_in == 60
    async with pointed(server, access_token=granted.access_token) as brief:
        told = await brief.listen.v1.media.transcribe_file(request=MONO)
    assert told.results.channels[0].alternatives[0].transcript.split() == said_in_turn()
