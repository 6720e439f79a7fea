"""The whole server for pages of a browser: only the recogniser is a double, so that no weights are needed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path

from aiohttp import web

from bridge.app import build
from bridge.carrier.audio import CallAudio, encode, read_call
from bridge.carrier.place import CallReport, Manner, place_call
from bridge.carrier.side import Dialled
from bridge.clock import SystemClock
from bridge.dialects import DIALECTS
from bridge.ports import Decoded, DecodedWord, DecodeJob
from bridge.settings import load
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
            DecodedWord(text=word, start=place * WORD_SAMPLES, end=(place + 1) * WORD_SAMPLES, probability=0.9)
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
    given: Mapping[str, object] = field(default_factory=dict)
    """Settings."""
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    async def start(self) -> None:
        settings = load(
            bootstrap_key=KEY,
            secret_key="a secret of this test's own",
            database_url=f"sqlite:///{self.folder}/callbridge.db",
            spool_dir=self.folder / "spool",
            **self.given,
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


@contextmanager
def running_server(folder: Path, **given: object) -> Iterator[RealServer]:
    """`given` are settings."""
    server = RealServer(folder, given)
    thread = threading.Thread(target=server.loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.start(), server.loop).result(30)
    yield server
    asyncio.run_coroutine_threadsafe(server.stop(), server.loop).result(30)
    server.loop.call_soon_threadsafe(server.loop.stop)
    thread.join()
    server.loop.close()
