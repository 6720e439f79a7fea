"""The browser SDK on a customer's own page: another origin, a token endpoint of theirs, a microphone that plays a recording."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from selenium import webdriver

from tests.browser.browser import Browser
from tests.browser.humming import PITCH, PITCH_HZ, hum
from tests.browser.real_server import RealServer, running_server
from tests.browser.scripted_server import KEY

OWN = {"Authorization": f"Bearer {KEY}"}
INIT = """const { init } = await import("SERVERsdk/callbridge.js");
  const callbridge = init({ tokenEndpoint: "/token" });"""


@dataclass
class Customer:
    """A customer's app beside callbridge: an empty page, and tokens for whoever is let in."""

    server: RealServer
    url: str = ""
    tokens: int = 0

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/", self._page)
        app.router.add_post("/token", self._token)
        self.runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self.runner.addresses[0][1]}/"

    async def _page(self, _request: web.Request) -> web.Response:
        return web.Response(
            text="<!doctype html><link rel=icon href=data:,><title>shop</title>", content_type="text/html"
        )

    async def _token(self, _request: web.Request) -> web.Response:
        self.tokens += 1
        async with (
            aiohttp.ClientSession(headers=OWN) as session,
            session.post(f"{self.server.url}v1/tokens", json={"identity": "visitor"}) as response,
        ):
            return web.json_response(await response.json())

    async def recording(self, recording_id: str) -> dict[str, Any]:
        async with (
            aiohttp.ClientSession(headers=OWN) as session,
            session.get(f"{self.server.url}v1/transcriptions/{recording_id}") as response,
        ):
            found: dict[str, Any] = await response.json()
            return found

    def do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.server.loop).result(30)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Customer]:
    with running_server(tmp_path_factory.mktemp("server")) as server:
        customer = Customer(server)
        customer.do(customer.start())
        yield customer
        customer.do(customer.runner.cleanup())


@pytest.fixture
def page(shop: Customer, telephone: webdriver.Chrome) -> Iterator[Browser]:
    found = Browser(telephone)
    before = telephone.current_window_handle
    telephone.switch_to.new_window("tab")
    found.complaints()
    found.open(shop.url)
    yield found
    complaints = found.complaints()
    telephone.close()
    telephone.switch_to.window(before)
    assert [text for text in complaints if not any(part in text for part in found.expected_complaints)] == []


def run(page: Browser, shop: Customer, script: str) -> Any:
    return page.module(INIT.replace("SERVER", shop.server.url) + script)


def test_live_captions_that_lose_their_connection(page: Browser, shop: Customer) -> None:
    """Words come while they are spoken; a connection that drops in the middle costs none, and tells none twice."""
    # The events' address is there a moment after the call has been answered.
    page.expected_complaints = ["404"]
    told = run(
        page,
        shop,
        """const sockets = [];
        globalThis.WebSocket = class extends WebSocket { constructor(...given) { super(...given); sockets.push(this); } };
        const events = [], again = [];
        const first = Promise.withResolvers(), more = Promise.withResolvers();
        const captions = await callbridge.liveCaptions({
          language: "en", metadata: { desk: "7" },
          onPartial: first.resolve,
          onFinal: () => again.length && more.resolve(),
          onReconnecting: () => again.push(events.length),
          onEvent: (event) => events.push(event),
        });
        const partial = await first.promise;
        sockets.at(-1).dispatchEvent(new CloseEvent("close", { code: 1006 })); // as a browser tells of a network that went
        sockets.at(-1).close();
        await more.promise;
        await captions.stop();
        await captions.settled;
        return { callId: captions.callId, partial, again, seqs: events.map((event) => event.seq), events };""",
    )
    assert isinstance(told, dict), told
    assert told["partial"]["text"]
    assert told["again"]
    assert told["seqs"] == list(range(1, len(told["seqs"]) + 1))
    started, ending = told["events"][0], next(event for event in told["events"] if event["type"] == "call.ended")
    assert (started["carrier"], started["metadata"], ending["reason"]) == ("webrtc", {"desk": "7"}, "hangup")
    assert {event["call_id"] for event in told["events"]} == {told["callId"]}
    assert shop.tokens == 1, "a token is used for as long as it lasts"


NO_UDP = """const later = setTimeout;
  globalThis.setTimeout = (work, ms) => later(work, ms / 20);
  globalThis.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(given) { super({ ...given, iceTransportPolicy: "relay" }); }
  };
"""
"""No way for WebRTC, and not as long a wait to find out."""
FIREFOX = """globalThis.AudioContext = class extends AudioContext {
    createMediaStreamSource(stream) {
      if (this.sampleRate === 16000) throw new DOMException("other rates cannot be connected", "NotSupportedError");
      return super.createMediaStreamSource(stream);
    }
  };
"""


@pytest.mark.parametrize(
    ("browser", "options", "rates"),
    [
        pytest.param("", '{ transport: "websocket", language: "en", metadata: { desk: "7" } }', {16000}, id="chosen"),
        pytest.param(FIREFOX, '{ transport: "websocket" }', {44100, 48000}, id="at-the-devices-rate"),
        pytest.param(NO_UDP, "{ callId: CALL }", {16000}, id="where-webrtc-does-not-get-through"),
    ],
)
def test_live_captions_without_udp(page: Browser, shop: Customer, browser: str, options: str, rates: set[int]) -> None:
    """The same captions over WebSockets alone; what was said last comes after hanging up."""
    page.expected_complaints = ["404"]
    told = run(
        page,
        shop,
        f"""const CALL = `web_${{crypto.randomUUID()}}`;
        {browser}
        const events = [], first = Promise.withResolvers();
        const live = {{ onPartial: first.resolve, onEvent: (event) => events.push(event) }};
        const captions = await callbridge.liveCaptions({{ ...live, ...{options} }});
        const partial = await first.promise;
        await captions.stop();
        await captions.settled;
        return {{ callId: captions.callId, chosen: CALL, partial, events }};""",
    )
    assert isinstance(told, dict), told
    assert told["partial"]["text"]
    started, ending = told["events"][0], next(event for event in told["events"] if event["type"] == "call.ended")
    assert (started["carrier"], started["legs"], ending["reason"]) == ("websocket", ["caller"], "hangup")
    assert started["sample_rate"] in rates
    assert started["metadata"] == ({"desk": "7"} if "desk" in options else {})
    assert started["call_id"] == told["callId"]
    if "CALL" in options:
        assert told["callId"] == f"{told['chosen']}-2"
    assert any(event["type"] == "transcript.final" for event in told["events"])


def test_a_bot_is_heard(page: Browser, shop: Customer) -> None:
    """Whoever listens to replies is given what a bot says on the call."""
    page.expected_complaints = ["404"]
    call_id = run(
        page,
        shop,
        PITCH
        + """const voice = new Audio();
        globalThis.captions = await callbridge.liveCaptions({
          language: "en", turns: "bot", onReply: (stream) => { voice.srcObject = stream; },
        });
        await voice.play();
        globalThis.pitch = pitchOf(voice.captureStream());
        return captions.callId;""",
    )
    assert page.ask("pitch()") == 0
    bot = asyncio.run_coroutine_threadsafe(hum(shop.server.url, call_id), shop.server.loop)
    assert page.until(lambda: page.ask("pitch()"), "a sound") == pytest.approx(PITCH_HZ, rel=0.02)
    assert bot.result(30) == "played"
    page.module("await captions.close();")


def test_a_recording_that_is_sent_in(page: Browser, shop: Customer) -> None:
    """By hand or when its time is up; the server puts it into words, and `onComplete` is told which it is."""
    sent = run(
        page,
        shop,
        """const told = Promise.withResolvers();
        const recorder = callbridge.createRecorder({ maxDuration: 0.8, onComplete: told.resolve, onError: told.reject });
        await recorder.start();
        const timed = await told.promise;
        await recorder.start();
        await new Promise((resolve) => setTimeout(resolve, 1500));
        const stopped = await recorder.stop();
        return [timed, stopped, recorder.state];""",
    )
    assert sent[2] == "inactive", sent
    for one in sent[:2]:
        done = page.until(lambda one=one: _done(shop.do(shop.recording(one["recordingId"]))), "the words")
        assert (done["status"], done["duration_ms"] > 500, one["bytes"] > 500) == ("completed", True, True), done


def _done(job: dict[str, Any]) -> dict[str, Any] | None:
    return job if job["status"] in {"completed", "failed"} else None


@pytest.mark.parametrize(
    ("broken", "action", "code"),
    [
        pytest.param('init({ tokenEndpoint: "/nowhere" })', "liveCaptions()", "unknown", id="no-token-endpoint"),
        pytest.param(
            'init({ tokenEndpoint: "data:application/json,{%22token%22:%22x%22,%22expires_in%22:900}", request: { method: "GET" } })',
            "liveCaptions()",
            "unauthorised",
            id="a-token-of-nobody",
        ),
        pytest.param(
            'init({ tokenEndpoint: "data:application/json,{%22token%22:%22x%22,%22expires_in%22:900}", request: { method: "GET" } })',
            'liveCaptions({ transport: "websocket" })',
            "unauthorised",
            id="a-token-of-nobody-over-a-socket",
        ),
        pytest.param(
            "(navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', 'NotAllowedError'); }, callbridge)",
            "createRecorder().start()",
            "microphone_refused",
            id="no-microphone",
        ),
        pytest.param("callbridge", "createRecorder().stop()", "not_recording", id="nothing-to-stop"),
    ],
)
def test_what_goes_wrong_has_a_code(page: Browser, shop: Customer, broken: str, action: str, code: str) -> None:
    """And words for people; the microphone is given back."""
    page.expected_complaints = [
        "401",
        "HTTP Authentication failed",
        "404",
        "closed before the connection is established",
    ]
    script = f"""const heard = [];
      const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
      navigator.mediaDevices.getUserMedia = async (wanted) => {{ heard.push(await ask(wanted)); return heard.at(-1); }};
      const broken = {broken};
      const error = await broken.{action}.then(() => null, (error) => error);
      const live = heard.flatMap((stream) => stream.getTracks()).filter((track) => track.readyState === "live").length;
      return [error?.name, error?.code, Boolean(error?.message), live];"""
    assert run(page, shop, script) == ["CallbridgeError", code, True, 0]
