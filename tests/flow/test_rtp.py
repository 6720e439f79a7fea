"""Plain RTP over real UDP sockets: the conversation of every dialect, on good lines and bad ones, and what only RTP has.

The carrier is `callbridge play`'s, the server is whole; only the recogniser is a script.
"""

from __future__ import annotations

import asyncio
import math
import shutil
import subprocess
import wave
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer

from bridge import call
from bridge.app import build
from bridge.carrier.faults import NO_FAULTS, Faults
from bridge.carrier.place import CallReport, Manner
from bridge.carrier.place_rtp import place_rtp_call
from bridge.carrier.rtp import OFFERED, RtpSide
from bridge.carrier.side import Dialled, Key
from bridge.clock import SystemClock
from bridge.model.stream import Leg
from bridge.settings import Settings
from tests.flow.test_dialects import (
    CUT_MS,
    KEY,
    LINES,
    PATIENCE_S,
    Bridge,
    Placed,
    before,
    check_conversation,
    check_frame_of,
    encoded,
    texts,
)
from tests.free_ports import free_ports
from tests.tones import DURATION_MS, LINE_RATE, ToneEngine, heard_on, recording, tone_segmenter

pytestmark = pytest.mark.asyncio(loop_scope="module")

RTP: Any = SimpleNamespace(name="rtp")
BOTH = (Leg.CALLER, Leg.AGENT)
MOST_PORTS = 200
HEADERS = {"Authorization": f"Bearer {KEY}"}


@dataclass
class RtpBridge(Bridge):
    """The running server, asked for ports."""

    session: aiohttp.ClientSession

    async def ask(self, method: str, path: str, *, status: int, **given: Any) -> Any:
        async with self.session.request(method, f"{self.url}{path}", headers=HEADERS, **given) as answer:
            assert answer.status == status, await answer.text()
            return None if status == 204 else await answer.json()

    async def open(self, name: str, legs: tuple[Leg, ...] = BOTH, **given: Any) -> dict[str, Any]:
        body = {"call_id": name, "legs": legs, "metadata": {"queue": "sales"}, **given}
        found: dict[str, Any] = await self.ask("POST", "/v1/rtp", status=201, json=body)
        return found

    async def until(self, opened: dict[str, Any], holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """What is told of the ports once it holds of every leg."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                seen: dict[str, Any] = await self.ask("GET", f"/v1/rtp/{opened['id']}", status=200)
                if all(holds(leg) for leg in seen["legs"]):
                    return seen
                await asyncio.sleep(0.005)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rtp(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RtpBridge]:
    """One whole server for all tests, with a database of its own."""
    folder = tmp_path_factory.mktemp("rtp")
    first = free_ports(MOST_PORTS)
    settings = Settings(
        bootstrap_key=KEY,
        database_url=f"sqlite:///{folder}/callbridge.db",
        spool_dir=folder,
        max_calls=50,
        rtp_ports=f"{first}-{first + MOST_PORTS - 1}",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(call, "Segmenter", tone_segmenter)
        server = TestServer(build(settings, SystemClock(), ToneEngine()), host="127.0.0.1")
        await server.start_server()
        async with aiohttp.ClientSession() as session:
            yield RtpBridge(str(server.make_url("")).rstrip("/"), session)
        await server.close()


def where(opened: dict[str, Any]) -> dict[Leg, tuple[str, int]]:
    return {Leg(leg["leg"]): (opened["address"], leg["port"]) for leg in opened["legs"]}


def a_side(legs: tuple[Leg, ...] = BOTH, **given: Any) -> RtpSide:
    return RtpSide(Dialled(legs=legs, **given))


async def send(
    opened: dict[str, Any], side: RtpSide, line: Faults = NO_FAULTS, keys: tuple[Key, ...] = ()
) -> CallReport:
    """The conversation, as fast as it can be sent."""
    return await place_rtp_call(
        where(opened),
        encoded(side.media_format, side.legs, side.frame_ms),
        side,
        clock=SystemClock(),
        manner=Manner(speed=math.inf, faults=line, keys=keys),
    )


@pytest.mark.parametrize(
    ("line", "legs"),
    [*((line, BOTH) for line in LINES), ("good", (Leg.MIXED,)), ("reordered", (Leg.MIXED,))],
    ids=lambda given: given if isinstance(given, str) else f"{len(given)}-ports",
)
async def test_the_same_events(rtp: RtpBridge, line: str, legs: tuple[Leg, ...]) -> None:
    """Who, which words, when: as in every dialect, to a frame; with packets lost, to 40 ms."""
    name = f"rtp-{line}-{len(legs)}"
    side = a_side(legs)
    report = await send(await rtp.open(name, legs), side, LINES[line])
    placed = Placed(side, report, await rtp.events(name))
    check_conversation(placed, RTP, lost=LINES[line].loss > 0)


@pytest.mark.parametrize("media_format", OFFERED[1:], ids=lambda each: f"{each.encoding}-{each.sample_rate}")
async def test_the_same_events_in_every_codec(rtp: RtpBridge, media_format: Any) -> None:
    """The payload type alone says how the audio is coded."""
    name = f"rtp-{media_format.encoding}-{media_format.sample_rate}"
    side = a_side(media_format=media_format)
    report = await send(await rtp.open(name), side)
    check_conversation(Placed(side, report, await rtp.events(name)), RTP, lost=False)


async def test_a_key_is_told_once(rtp: RtpBridge) -> None:
    """Six packets a press, three of them its end: one event each, where it was pressed."""
    side = a_side((Leg.MIXED,))
    keys = (Key(5_000, Leg.MIXED, "5"), Key(5_400, Leg.MIXED, "5"), Key(9_000, Leg.MIXED, "#"))
    await send(await rtp.open("rtp-keys", (Leg.MIXED,)), side, Faults(duplication=0.2, seed=3), keys)
    pressed = [event for event in await rtp.events("rtp-keys") if event["type"] == "dtmf.received"]
    assert [(event["leg"], event["digit"]) for event in pressed] == [("mixed", "5"), ("mixed", "5"), ("mixed", "#")]
    for event, key in zip(pressed, keys, strict=True):
        assert event["at_ms"] == pytest.approx(key.at_ms, abs=2 * side.frame_ms)


async def test_hung_up_from_here(rtp: RtpBridge) -> None:
    """The sender falls silent, a stranger speaks and is not heard; DELETE ends the call, and what was said is told."""
    side, opened = a_side(), await rtp.open("rtp-cut")
    report = await send(opened, side, Faults(hang_up_at_ms=CUT_MS))
    seen = await rtp.until(opened, lambda leg: leg["received"] == CUT_MS // side.frame_ms)
    assert (seen["started"], seen["codec"], seen["dropped"]) == (True, "PCMU", 0)
    assert all(leg["missing"] == leg["strangers"] == leg["unread"] == leg["malformed"] == 0 for leg in seen["legs"])
    await send(opened, a_side(), Faults(hang_up_at_ms=100))
    await rtp.until(opened, lambda leg: leg["strangers"] > 0)
    path = f"/v1/rtp/{opened['id']}"
    await rtp.ask("DELETE", path, status=204)
    placed = Placed(side, report, await rtp.events("rtp-cut"))
    check_frame_of(placed, RTP)
    assert texts(placed) == {leg: before(CUT_MS, words) for leg, words in heard_on(side.legs).items()}
    assert placed.events[-1]["reason"] == "hangup"
    assert placed.events[-1]["duration_ms"] == pytest.approx(CUT_MS, abs=2 * side.frame_ms)
    await rtp.ask("GET", path, status=404)


async def test_the_end_is_as_long_as_the_call(rtp: RtpBridge) -> None:
    """A leg that nobody sends to holds nothing up: the other one's goodbye ends the call."""
    side = a_side((Leg.AGENT,))
    opened = await rtp.open("rtp-one-side")
    await send({**opened, "legs": opened["legs"][1:]}, side)
    ended = (await rtp.events("rtp-one-side"))[-1]
    assert ended["reason"] == "hangup"
    assert ended["duration_ms"] == pytest.approx(DURATION_MS, abs=side.frame_ms)


FFMPEG_CODECS = {
    "PCMU": ["-c:a", "pcm_mulaw", "-ar", "8000"],
    "G722": ["-c:a", "g722", "-ar", "16000"],
    "L16/16000": ["-c:a", "pcm_s16be", "-ar", "16000"],
    "opus/48000/2": ["-c:a", "libopus", "-ar", "48000", "-ac", "1", "-application", "lowdelay"],
}


@pytest.fixture(scope="module")
def ffmpeg() -> str:
    """The program, started once before: from a cold disk that can take longer than ports wait for a first packet."""
    found = shutil.which("ffmpeg")
    if found is None:
        pytest.skip("needs ffmpeg (Debian: ffmpeg)")
    subprocess.run([found, "-version"], stdout=subprocess.DEVNULL, check=True)  # noqa: S603
    return found


@pytest.mark.parametrize("codec", FFMPEG_CODECS)
async def test_ffmpeg_as_the_sender(rtp: RtpBridge, ffmpeg: str, codec: str, tmp_path: Path) -> None:
    """Another's packets, with its own sizes, payload types and RTCP: the same words at the same times."""
    name = f"ffmpeg-{codec.partition('/')[0]}"
    [(_, samples)] = recording().on_line((Leg.MIXED,)).legs.items()
    with wave.open(str(tmp_path / "call.wav"), "wb") as file:
        file.setparams((1, 2, LINE_RATE, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    opened = await rtp.open(name, (Leg.MIXED,), codec=codec)
    [(host, port)] = where(opened).values()
    sender = await asyncio.create_subprocess_exec(
        *[ffmpeg, "-v", "error", "-readrate", "20", "-i", str(tmp_path / "call.wav"), *FFMPEG_CODECS[codec]],
        *["-f", "rtp", "-rtpflags", "send_bye", f"rtp://{host}:{port}"],
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert await asyncio.wait_for(sender.wait(), PATIENCE_S) == 0
    events = await rtp.events(name)
    finals = [event for event in events if event["type"] == "transcript.final"]
    spoken = heard_on((Leg.MIXED,))[Leg.MIXED]
    assert [final["text"].split() for final in finals] == [[said.word for said in words] for words in spoken]
    heard = [word for final in finals for word in final["words"]]
    for word, said in zip(heard, [said for words in spoken for said in words], strict=True):
        assert word["start_ms"] == pytest.approx(said.start_ms, abs=20)
        assert word["end_ms"] == pytest.approx(said.end_ms, abs=20)
    assert not [event for event in events if event["type"] == "media.gap"]
    assert events[-1]["reason"] == "hangup"
