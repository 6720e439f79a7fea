"""The demo's judgement of what really happened: good when it was, and by name what was missing."""

from __future__ import annotations

import io
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer
from rich.console import Console

from bridge.app import build
from bridge.bench.calls import BenchCall, read_fixture
from bridge.bench.load import Server
from bridge.carrier.audio import CallAudio
from bridge.cli import demo_call
from bridge.cli.demo_call import CALL_ID, Verdict, show_call
from bridge.cli.webhook_receiver import Receiver
from bridge.clock import SystemClock
from bridge.deliver.signing import new_secret
from bridge.errors import StoreError
from bridge.ports import Decoded, DecodedWord, DecodeJob, Engine
from bridge.settings import load

FIXTURES = Path(__file__).parents[2] / "fixtures" / "audio"
KEY = "a-key-for-the-demo-test"


class FastClock(SystemClock):
    """The carrier's: four times as fast as life."""

    def monotonic(self) -> float:
        return time.monotonic() * 4

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / 4)


class OneSentence(Engine):
    """Hears the same words in everything."""

    def __init__(self, text: str) -> None:
        self._text = text

    async def decode(self, job: DecodeJob) -> Decoded:
        step = max(1, len(job.samples) // (len(self._text.split()) or 1))
        words = [
            DecodedWord(text=word, start=at * step, end=(at + 1) * step, probability=0.9)
            for at, word in enumerate(self._text.split())
        ]
        return Decoded(
            text=self._text,
            language="en",
            language_probability=1,
            average_log_probability=-0.1,
            no_speech_probability=0,
            words=tuple(words),
        )

    def pressure(self) -> float:
        return 0.0


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver(new_secret(), SystemClock()).listening() as listening:
        yield listening


@pytest.fixture
def call() -> BenchCall:
    """One sentence, three seconds."""
    whole = read_fixture(FIXTURES / "hang-up.wav")
    said = whole.utterances[0]
    length = (said.end_ms + 300) * whole.audio.sample_rate // 1000
    audio = CallAudio({leg: samples[:length] for leg, samples in whole.audio.legs.items()}, whole.audio.sample_rate)
    return replace(whole, audio=audio, texts={said.leg: said.text}, utterances=(said,))


async def shown(folder: Path, call: BenchCall, receiver: Receiver, engine: Engine, *, told: bool = True) -> Verdict:
    """The demo's call against a whole server of this process."""
    webhook = {"webhook_url": receiver.url, "webhook_secret": receiver.secret} if told else {}
    settings = load(
        database_url=f"sqlite:///{folder}/callbridge.db",
        spool_dir=folder / "spool",
        bootstrap_key=KEY,
        allow_private_urls="127.0.0.1",
        **webhook,
    )
    async with TestServer(build(settings, SystemClock(), engine)) as server:
        return await show_call(
            Server(str(server.make_url("")), KEY), call, receiver, Console(file=io.StringIO()), FastClock()
        )


def outcome(verdict: Verdict) -> dict[str, bool]:
    return {name: happened for happened, name, _ in verdict.rows}


async def test_all_of_it_happened(tmp_path: Path, call: BenchCall, receiver: Receiver) -> None:
    """The right words, kept, told with a signature, the page there: good."""
    said = " ".join(text for text in call.texts.values() if text)
    verdict = await shown(tmp_path, call, receiver, OneSentence(said))
    assert outcome(verdict) == {"captions": True, "transcript": True, "webhook": True, "live page": True}
    assert verdict.good


async def test_a_recogniser_that_hears_nothing(tmp_path: Path, call: BenchCall, receiver: Receiver) -> None:
    """Without words there are no captions and no transcript; that the webhook came does not make it good."""
    verdict = await shown(tmp_path, call, receiver, OneSentence(""))
    assert outcome(verdict) == {"captions": False, "transcript": False, "webhook": True, "live page": True}
    assert not verdict.good


async def test_wrong_words(tmp_path: Path, call: BenchCall, receiver: Receiver) -> None:
    """Captions of something else are no transcript of this call."""
    verdict = await shown(tmp_path, call, receiver, OneSentence("quite another matter altogether"))
    assert outcome(verdict) == {"captions": True, "transcript": False, "webhook": True, "live page": True}


async def test_a_webhook_that_never_comes(
    tmp_path: Path, call: BenchCall, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is waited for, and then said to be missing."""
    monkeypatch.setattr(demo_call, "WEBHOOK_WITHIN_S", 0.2)
    verdict = await shown(tmp_path, call, receiver, OneSentence("anything"), told=False)
    assert outcome(verdict)["webhook"] is False
    assert "none that could be verified" in next(words for _, name, words in verdict.rows if name == "webhook")


async def test_a_server_that_goes_away(call: BenchCall, receiver: Receiver) -> None:
    """In the middle of a call the demo ends with one clear fault, and leaves nobody waiting."""

    async def events(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(json.dumps({"type": "call.started", "call_id": CALL_ID}))
        await socket.close()
        return socket

    async def media(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        while (await socket.receive()).type is WSMsgType.TEXT:
            pass
        return socket

    async def page(_request: web.Request) -> web.Response:
        return web.Response(text="<p>", content_type="text/html")

    app = web.Application()
    app.add_routes([web.get("/v1/events", events), web.get("/v1/media/twilio", media), web.get("/", page)])
    async with TestServer(app) as server:
        with pytest.raises(StoreError, match="went away in the middle of the call"):
            await show_call(
                Server(str(server.make_url("")), KEY), call, receiver, Console(file=io.StringIO()), FastClock()
            )
