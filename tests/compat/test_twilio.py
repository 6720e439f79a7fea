"""Twilio's Real-Time Transcriptions, verified by Twilio's own RequestValidator: what a receiver hears of a call."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.model.stream import Leg
from tests.compat.wire import rest, socket
from tests.real_server import RealServer
from tests.receiver import until
from tests.recorded import channels, said
from tests.tones import LINE_RATE

validator = pytest.importorskip("twilio.request_validator", reason="the SDK is not installed: pip install twilio")

pytestmark = pytest.mark.surface("twilio")

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


@pytest.mark.shows("webhooks", differs="set up with `POST /v1/webhooks`, for all calls; no partial results")
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
