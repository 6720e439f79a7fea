"""WebRTC in the matrix: the conversation of every dialect, published over DTLS and SRTP, on good lines and bad ones.

The publisher is `callbridge play`'s, the server is whole; only the recogniser is a script.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer
from aioice import ice

from bridge import call
from bridge.app import build
from bridge.carrier.faults import NO_FAULTS, Faults
from bridge.carrier.place import Manner
from bridge.carrier.place_whip import OFFERED, WhipSide, place_whip_call
from bridge.carrier.side import Dialled
from bridge.clock import SystemClock
from bridge.ingest.whip import CARRIER
from bridge.model.stream import Leg, MediaFormat
from bridge.settings import Settings
from tests.flow.test_dialects import (
    CUT_MS,
    KEY,
    LINES,
    Bridge,
    Placed,
    before,
    check_conversation,
    check_frame_of,
    parameters,
    texts,
)
from tests.tones import ToneEngine, heard_on, recording, tone_segmenter

pytestmark = pytest.mark.asyncio(loop_scope="module")

WEBRTC: Any = SimpleNamespace(name=CARRIER)
BOTH = (Leg.CALLER, Leg.AGENT)
SPEED = 20
"""Times real time: UDP cannot be held back, so it is not sent as fast as it can be."""


class SteadyClock(SystemClock):
    """The publisher's: it stands still unless it is slept on. On a busy machine packets come later, not many at once."""

    def __init__(self) -> None:
        self._at_s = 0.0

    def monotonic(self) -> float:
        return self._at_s

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        self._at_s += seconds


@cache
def both_parties(media_format: MediaFormat | None) -> WhipSide:
    """In stereo Opus, or as a mix; made once, and its packets numbered on from call to call."""
    return WhipSide.of(Dialled(legs=BOTH, media_format=media_format), recording())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bridge(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bridge]:
    """One whole server for all tests, with a database of its own; both sides meet on 127.0.0.1."""
    folder = tmp_path_factory.mktemp("whip")
    settings = Settings(bootstrap_key=KEY, database_url=f"sqlite:///{folder}/callbridge.db", spool_dir=folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(call, "Segmenter", tone_segmenter)
        patch.setattr(ice, "get_host_addresses", lambda **_: ["127.0.0.1"])
        server = TestServer(build(settings, SystemClock(), ToneEngine()), host="127.0.0.1")
        await server.start_server()
        yield Bridge(str(server.make_url("")).rstrip("/"))
        await server.close()


async def published(
    bridge: Bridge, name: str, line: Faults = NO_FAULTS, media_format: MediaFormat | None = None
) -> Placed:
    """Both parties in stereo Opus; in a codec of one channel, their mix."""
    side = both_parties(media_format)
    report = await place_whip_call(
        f"{bridge.url}/v1/whip",
        side,
        parameters=parameters(name),
        token=KEY,
        clock=SteadyClock(),
        manner=Manner(speed=SPEED, faults=line),
    )
    stereo = side.channels == "stereo"
    heard: Any = SimpleNamespace(
        legs=BOTH if stereo else (Leg.MIXED,),
        media_format=replace(side.rtp.media_format, channels=2 if stereo else 1),
        frame_ms=side.rtp.frame_ms,
        closing=lambda: ["DELETE"],
    )
    return Placed(heard, report, await bridge.events(name))


@pytest.mark.parametrize("line", ["good", "5-percent-lost", "20-percent-lost", "reordered", "stalled"])
async def test_the_same_events(bridge: Bridge, line: str) -> None:
    """Who, which words, when: as in every dialect, to a frame; with packets lost, to 40 ms."""
    placed = await published(bridge, f"whip-{line}", LINES[line])
    assert placed.report.close_code == 1000
    check_conversation(placed, WEBRTC, lost=LINES[line].loss > 0)


async def test_the_mix(bridge: Bridge) -> None:
    """In a codec of one channel both parties are one leg."""
    placed = await published(bridge, "whip-mix", media_format=next(each for each in OFFERED if each.encoding == "G722"))
    check_conversation(placed, WEBRTC, lost=False)


async def test_a_publisher_that_goes(bridge: Bridge) -> None:
    """The connection ends between two utterances, and nobody asks for it: what was said before is told."""
    placed = await published(bridge, "whip-cut", Faults(hang_up_at_ms=CUT_MS))
    check_frame_of(placed, WEBRTC)
    assert placed.report.close_code is None
    assert texts(placed) == {leg: before(CUT_MS, words) for leg, words in heard_on(BOTH).items()}
    assert placed.events[-1]["reason"] == "hangup"
    assert placed.events[-1]["duration_ms"] == pytest.approx(CUT_MS, abs=2 * placed.frame_ms)
