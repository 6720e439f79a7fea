"""Twilio's Real-Time Transcriptions, verified by Twilio's own RequestValidator: what a receiver hears of a call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.carrier.audio import CallAudio
from bridge.carrier.side import CarrierSide, Dialled, encode_for
from bridge.dialects import DIALECTS
from bridge.model.stream import Leg
from tests.compat.wire import rest, socket
from tests.real_server import KEY, RealServer
from tests.receiver import until
from tests.recorded import channels, said
from tests.tones import LINE_RATE

pytest.importorskip("twilio", reason="the SDK is not installed: pip install twilio")

from twilio import request_validator as validator
from twilio import rest as rest_api
from twilio.base.exceptions import TwilioRestException
from twilio.http import http_client

pytestmark = pytest.mark.surface("twilio")

ACCOUNT = "AC" + "5" * 32
NOBODYS = "CA" + "0" * 32
QUERY = f"encoding=linear16&sample_rate={LINE_RATE}&channels=2&multichannel=true"


@dataclass
class App:
    """A customer's receiver: forms, and whether each was signed."""

    url: str = ""
    token: str = ""
    seen: list[dict[str, str]] = field(default_factory=list)

    async def receive(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        signature = request.headers["X-Twilio-Signature"]
        assert validator.RequestValidator(self.token).validate(str(request.url), form, signature)
        self.seen.append(form)
        return web.Response()


@pytest.fixture
async def app() -> AsyncIterator[App]:
    customer = App()
    served = web.Application()
    served.router.add_post("/words", customer.receive)
    async with TestServer(served, host="127.0.0.1") as running:
        customer.url = str(running.make_url("/words?shop=7"))
        yield customer


class Line:
    """A call in progress, as Twilio sends it."""

    def __init__(self, live: aiohttp.ClientWebSocketResponse, side: CarrierSide, call_sid: str) -> None:
        self.call_sid = call_sid
        self._live = live
        self._side = side
        self._at_ms = 0

    async def play(self, samples: np.ndarray) -> None:
        """Both parties at 16 kHz, shape (n, 2); as fast as it goes."""
        legs = {leg: samples[:, n] for n, leg in enumerate(self._side.legs)}
        audio = encode_for(self._side, CallAudio(legs, LINE_RATE))
        for payloads in audio.frames:
            for message in self._side.media(self._at_ms, payloads):
                await self._live.send_str(str(message))
            self._at_ms += audio.frame_ms


@asynccontextmanager
async def media(server: RealServer) -> AsyncIterator[Line]:
    side = DIALECTS["twilio"].speak(Dialled(legs=(Leg.CALLER, Leg.AGENT)))
    async with socket(server, "/v1/media/twilio") as live:
        opening = [str(message) for message in side.opening()]
        for message in opening:
            await live.send_str(message)
        call_sid = json.loads(opening[-1])["start"]["callSid"]
        while not (await server.json("GET", "/v1/calls"))["calls"]:  # noqa: ASYNC110  # the server's doing
            await asyncio.sleep(0.01)
        yield Line(live, side, call_sid)
        for message in side.closing():
            await live.send_str(str(message))


@pytest.mark.shows("webhooks", differs="`POST /v1/webhooks` has those of all calls; no partial results")
async def test_what_a_receiver_hears(server: RealServer, app: App) -> None:
    """Started, a final for each stretch of speech with its track, stopped: in order, each with a signature that holds."""
    made = await server.json("POST", "/v1/webhooks", json={"url": app.url, "style": "twilio"}, status=201)
    app.token = made["secret"]
    async with socket(server, f"/v1/listen?{QUERY}") as live:
        await live.send_bytes(channels(Leg.CALLER, Leg.AGENT).T.copy().tobytes())
        await live.send_str(json.dumps({"type": "CloseStream"}))
        await rest(live)
    await until(lambda: any(form["TranscriptionEvent"] == "transcription-stopped" for form in app.seen))
    told = sorted(app.seen, key=lambda form: int(form["SequenceId"]))
    assert told[0]["TranscriptionEvent"] == "transcription-started"
    assert (told[0]["Track"], told[0]["SequenceId"]) == ("both_tracks", "1")
    assert told[-1]["TranscriptionEvent"] == "transcription-stopped"
    content = [form for form in told if form["TranscriptionEvent"] == "transcription-content"]
    for leg, track in ((Leg.CALLER, "inbound_track"), (Leg.AGENT, "outbound_track")):
        spoken = [json.loads(form["TranscriptionData"]) for form in content if form["Track"] == track]
        assert [word for one in spoken for word in one["transcript"].split()] == said(leg)
        assert all(0 < one["confidence"] <= 1 for one in spoken)
    assert {form["Final"] for form in content} == {"true"}
    for name, kind in (("AccountSid", "AC"), ("CallSid", "CA"), ("TranscriptionSid", "GT")):
        [sid] = {form[name] for form in told}
        assert sid.startswith(kind)
        assert len(sid) == 34


async def test_what_cannot_be_told_in_that_way(server: RealServer, app: App) -> None:
    """Events that Twilio has no name for, and ways that nobody has."""
    for wrong in ({"style": "twilio", "events": ["speech.started"]}, {"style": "morse"}):
        await server.fault("POST", "/v1/webhooks", json={"url": app.url, **wrong}, status=422)


class Redirected(http_client.TwilioHttpClient):
    """Twilio's SDK has no base URL to change."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def request(self, method: str, url: str, *given: Any, **named: Any) -> Any:
        return super().request(method, url.replace("https://api.twilio.com", self._url), *given, **named)


@pytest.mark.shows(
    "a callback of its own", differs="finals of all tracks, whichever are asked for; in TwiML it is no word"
)
async def test_begun_and_ended_by_the_sdk(server: RealServer, app: App) -> None:
    """For one call in progress, named by its carrier's id: told from then on until it is stopped, by sid or by name."""
    app.token = KEY
    client = rest_api.Client(ACCOUNT, KEY, http_client=Redirected(server.url))
    spoken = channels(Leg.CALLER, Leg.AGENT).T
    half = len(spoken) // 2
    async with media(server) as line:
        await line.play(spoken[:half])
        call = client.calls(line.call_sid)
        asked = {"status_callback_url": app.url, "name": "notes", "inbound_track_label": "customer"}
        made = await asyncio.to_thread(call.transcriptions.create, **asked)
        assert (made.status, made.name, made.call_sid, made.account_sid) == (
            "in-progress",
            "notes",
            line.call_sid,
            ACCOUNT,
        )
        await line.play(spoken[half:])
        await until(lambda: any(form["TranscriptionEvent"] == "transcription-content" for form in app.seen))
        stopped = await asyncio.to_thread(call.transcriptions("notes").update, status="stopped")
        assert (stopped.status, stopped.sid) == ("stopped", made.sid)
        await until(lambda: any(form["TranscriptionEvent"] == "transcription-stopped" for form in app.seen))
        with pytest.raises(TwilioRestException) as twice:
            await asyncio.to_thread(call.transcriptions("another").update, status="stopped")
        assert (twice.value.status, twice.value.code) == (404, 20404)
    started = next(form for form in app.seen if form["TranscriptionEvent"] == "transcription-started")
    assert (started["Name"], started["InboundTrackLabel"], started["AccountSid"]) == ("notes", "customer", ACCOUNT)
    assert {(form["CallSid"], form["TranscriptionSid"]) for form in app.seen} == {(line.call_sid, made.sid)}
    assert [form["TranscriptionEvent"] for form in app.seen].count("transcription-stopped") == 1


async def test_what_cannot_be_begun(server: RealServer, app: App) -> None:
    """The SDK raises what it raises at Twilio."""
    for token, sid, asked, status in (
        ("wrong", NOBODYS, {"status_callback_url": app.url}, 401),
        (KEY, NOBODYS, {"status_callback_url": app.url}, 404),
    ):
        client = rest_api.Client(ACCOUNT, token, http_client=Redirected(server.url))
        with pytest.raises(TwilioRestException) as fault:
            await asyncio.to_thread(client.calls(sid).transcriptions.create, **asked)
        assert fault.value.status == status
    client = rest_api.Client(ACCOUNT, KEY, http_client=Redirected(server.url))
    async with media(server) as line:
        call = client.calls(line.call_sid)
        for wrong in (
            {},
            {"status_callback_url": "http://10.0.0.7/"},
            {"status_callback_url": app.url, "track": "third"},
        ):
            with pytest.raises(TwilioRestException) as fault:
                await asyncio.to_thread(call.transcriptions.create, **wrong)
            assert fault.value.status == 400
