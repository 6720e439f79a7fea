"""The page on the whole server: a call placed through a carrier's socket, seen, kept and read back.

Only the recogniser is a double, so that no weights are needed; it counts aloud as long as somebody speaks.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path

import pytest
from aiohttp import web
from selenium.webdriver.common.keys import Keys

from bridge.app import build
from bridge.carrier.audio import CallAudio, encode, read_call
from bridge.carrier.place import CallReport, Manner, place_call
from bridge.carrier.side import Dialled
from bridge.clock import SystemClock
from bridge.dialects import DIALECTS
from bridge.ports import Decoded, DecodedWord, DecodeJob
from bridge.settings import load
from tests.browser.browser import Browser
from tests.browser.scripted_server import KEY

RECORDING = Path(__file__).parents[2] / "fixtures" / "audio" / "two-party.wav"
SECONDS = 16
"""Of the recording: an agent's greeting, a caller's answer, a question."""
SPEED = 2
WORD_SAMPLES = 5600
"""350 ms at 16 kHz."""
COUNT = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


class Counting:
    """An `Engine` that hears a number in every 350 ms of speech."""

    async def decode(self, job: DecodeJob) -> Decoded:
        spoken = list(islice(cycle(COUNT), len(job.samples) // WORD_SAMPLES))
        known = len(job.prefix_text.split())
        words = tuple(
            DecodedWord(text=f" {word}", start=place * WORD_SAMPLES, end=(place + 1) * WORD_SAMPLES, probability=0.9)
            for place, word in enumerate(spoken)
        )
        return Decoded(
            text=" ".join(spoken[known:]),
            language="en",
            language_probability=0.99,
            average_log_probability=-0.1,
            no_speech_probability=0.01,
            words=words[known:],
        )

    def pressure(self) -> float:
        return 0.0


@dataclass
class RealServer:
    """The server as `app.py` builds it, in a thread of its own because a browser's driver blocks."""

    folder: Path
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    async def start(self) -> None:
        settings = load(
            bootstrap_key=KEY,
            secret_key="a secret of this test's own",
            database_url=f"sqlite:///{self.folder}/callbridge.db",
            spool_dir=self.folder / "spool",
        )
        self.runner = web.AppRunner(build(settings, SystemClock(), Counting()), access_log=None, shutdown_timeout=1)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        host, port = self.runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/"

    async def stop(self) -> None:
        await self.runner.cleanup()

    async def call(self, call_id: str) -> CallReport:
        """Place a call in a hurry, as Twilio would."""
        recording = read_call(RECORDING)
        legs = {leg: samples[: SECONDS * recording.sample_rate] for leg, samples in recording.legs.items()}
        parameters = {"call_id": call_id, "metadata.from": "+16125550142"}
        side = DIALECTS["twilio"].speak(Dialled(legs=tuple(legs), parameters=parameters, token=KEY))
        audio = encode(CallAudio(legs, recording.sample_rate), side.media_format)
        where = f"{self.url.replace('http', 'ws', 1)}v1/media/twilio"
        return await place_call(where, audio, side, clock=SystemClock(), manner=Manner(speed=SPEED))


@pytest.fixture
def real_server(tmp_path: Path) -> Iterator[RealServer]:
    server = RealServer(tmp_path)
    thread = threading.Thread(target=server.loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.start(), server.loop).result(30)
    yield server
    asyncio.run_coroutine_threadsafe(server.stop(), server.loop).result(30)
    server.loop.call_soon_threadsafe(server.loop.stop)
    thread.join()
    server.loop.close()


def test_a_call_is_seen_from_its_first_word_to_its_file(
    real_server: RealServer, browser: Browser, tmp_path: Path
) -> None:
    """Captions come while the carrier still sends, and end as the very text that is stored."""
    browser.expected_complaints = ["401 (Unauthorized)"]
    browser.open(real_server.url)
    browser.until(lambda: browser.texts("#gate-heading"), "the question for a key")
    browser.type("#key", KEY + Keys.ENTER)
    browser.until(lambda: browser.texts("#first-call-heading"), "the guide to the first call")

    placed = asyncio.run_coroutine_threadsafe(real_server.call("c1"), real_server.loop)
    browser.until(lambda: browser.texts("#live-rows .row-who") == ["+1 612 555 0142"], "the call in the list")
    browser.click("#live-rows .row")
    browser.until(lambda: any(line["state"] == "tentative" for line in browser.lines()), "words while they are spoken")
    browser.until(lambda: {line["voice"] for line in browser.lines()} == {"agent", "caller"}, "both voices")
    assert placed.result(30).close_code == 1000
    browser.until(lambda: browser.text(".badge") == "Completed", "the settled text")

    shown = browser.said()
    assert len(shown) >= 3
    assert all(line["state"] == "final" for line in browser.lines())
    browser.until(
        lambda: browser.texts("#finished-rows .row-what") == ["Twilio · Completed · 0:16"], "its end in the list"
    )
    browser.click('[data-format="txt"]')
    saved = tmp_path / "c1.txt"
    browser.until(saved.exists, "the file")
    kept = saved.read_text()
    for text in shown:
        assert text in kept
    browser.reload()
    browser.until(lambda: browser.said() == shown, "the same text, read back")
