"""Being a WHIP publisher: `callbridge play` against the server, over good lines and bad ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aioice import ice

from bridge.audio.leg import LegAudio
from bridge.carrier.audio import FRAME_MS, CallAudio
from bridge.carrier.faults import Faults
from bridge.carrier.place import CallReport, Manner
from bridge.carrier.place_whip import OFFERED, WhipSide, place_whip_call
from bridge.carrier.rtp import RtpSide
from bridge.carrier.side import Dialled, Key
from bridge.clock import SystemClock
from bridge.errors import CallRefusedError
from bridge.model.frame import SAMPLE_RATE, AudioFrame, Gap
from bridge.model.stream import Discarded, DtmfDigit, Encoding, Leg, MediaChunk, MediaFormat
from callcodecs.rtp import RtpPacket
from tests.flow.test_media_play import play, recording
from tests.media_server import API_KEY, MediaServer, ServeMedia, TakenCall

__all__ = ["recording"]

SECONDS = 3
WORDS_AT_MS = (500, 1300, 2100)
"""Where a tone of 200 ms begins."""


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sides meet on 127.0.0.1, whatever networks this machine has."""
    monkeypatch.setattr(ice, "get_host_addresses", lambda **_: ["127.0.0.1"])


@pytest.fixture
async def server(serve_media: ServeMedia) -> MediaServer:
    return await serve_media()


def words(hertz: float = 1000) -> np.ndarray:
    """Tones in silence, at 16 kHz."""
    samples = np.zeros(SECONDS * SAMPLE_RATE, np.int16)
    tone = 9000 * np.sin(2 * np.pi * hertz * np.arange(SAMPLE_RATE // 5) / SAMPLE_RATE)
    for at_ms in WORDS_AT_MS:
        at = at_ms * SAMPLE_RATE // 1000
        samples[at : at + len(tone)] = tone
    return samples


def onsets_ms(samples: np.ndarray) -> list[float]:
    """Where it becomes loud after at least 300 ms of silence."""
    loud = np.flatnonzero(np.abs(samples) > 0.1)
    first = np.concatenate([[True], np.diff(loud) > 0.3 * SAMPLE_RATE])
    return [float(at) * 1000 / SAMPLE_RATE for at in loud[first]]


def heard(call: TakenCall, leg: Leg = Leg.CALLER) -> tuple[np.ndarray, list[Gap]]:
    """A leg as the call hears it."""
    ear = LegAudio(leg, call.started.media_format)
    said = [item for item in call.items if isinstance(item, MediaChunk | Discarded) and item.leg == leg]
    values = [value for item in said for value in ear.push(item)] + ear.flush()
    return (
        np.concatenate([value.samples for value in values if isinstance(value, AudioFrame)]),
        [value for value in values if isinstance(value, Gap)],
    )


async def placed(
    server: MediaServer,
    legs: dict[Leg, np.ndarray],
    *,
    media_format: MediaFormat | None = None,
    manner: Manner = Manner(speed=10),  # noqa: B008
    token: str | None = API_KEY,
    **parameters: str,
) -> CallReport:
    recorded = CallAudio(legs, SAMPLE_RATE)
    side = WhipSide.of(Dialled(legs=tuple(legs), media_format=media_format), recorded)
    where = f"{server.url}/v1/whip"
    return await place_whip_call(where, side, parameters=parameters, token=token, clock=SystemClock(), manner=manner)


class Odd:
    """A sender that does one thing otherwise."""

    def __init__(self, side: RtpSide) -> None:
        self._side = side

    def __getattr__(self, name: str) -> Any:
        return getattr(self._side, name)


class LateStart(Odd):
    """Its first four packets come in the order 3, 0, 1, 2."""

    def media(self, at_ms: int, payloads: Mapping[Leg, bytes]) -> Sequence[bytes]:
        said = [RtpPacket.parse(packet) for packet in self._side.media(at_ms, payloads)]
        self.__dict__.setdefault("held", []).extend(said)
        if at_ms < 3 * FRAME_MS:
            return []
        held, self.held = self.held, []
        return [packet.serialize() for packet in (held[-1], *held[:-1])]


class EverNew(Odd):
    """Every packet is of another source."""

    def media(self, at_ms: int, payloads: Mapping[Leg, bytes]) -> Sequence[bytes]:
        said = [RtpPacket.parse(packet) for packet in self._side.media(at_ms, payloads)]
        return [replace(packet, ssrc=at_ms + 1).serialize() for packet in said]


@pytest.mark.parametrize("media_format", OFFERED, ids=lambda each: each.encoding)
async def test_every_codec(server: MediaServer, media_format: MediaFormat) -> None:
    """The whole recording is heard, to its last frame, every word in its place."""
    report = await placed(server, {Leg.CALLER: words()}, media_format=media_format, call_id="c1")
    call = await server.taker.next_call()
    assert report.close_code == 1000
    assert (call.stop_reasons, call.started.parameters) == (["hangup"], {"call_id": "c1", "channels": "mono"})
    samples, gaps = heard(call)
    assert not gaps
    assert len(samples) == SECONDS * SAMPLE_RATE
    assert onsets_ms(samples) == pytest.approx(WORDS_AT_MS, abs=20)


async def test_two_parties(server: MediaServer) -> None:
    """In stereo each is heard by itself; in a codec of one channel, all are mixed."""
    legs = {Leg.CALLER: words(), Leg.AGENT: np.roll(words(), SAMPLE_RATE // 4)}
    await placed(server, legs)
    call = await server.taker.next_call()
    assert call.started.legs == (Leg.CALLER, Leg.AGENT)
    assert onsets_ms(heard(call, Leg.CALLER)[0]) == pytest.approx(WORDS_AT_MS, abs=20)
    assert onsets_ms(heard(call, Leg.AGENT)[0]) == pytest.approx([at + 250 for at in WORDS_AT_MS], abs=20)
    await placed(server, legs, media_format=OFFERED[-1])
    assert (await server.taker.next_call()).started.legs == (Leg.MIXED,)


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param(Faults(loss=0.01), id="1-percent-lost"),
        pytest.param(Faults(loss=0.05), id="5-percent-lost"),
        pytest.param(Faults(loss=0.2), id="20-percent-lost"),
        pytest.param(Faults(duplication=0.5), id="doubled"),
        pytest.param(Faults(reorder_ms=400), id="400-ms-late"),
        pytest.param(Faults(stall_at_ms=800, stall_ms=1500), id="a-burst-after-a-stall"),
    ],
)
async def test_a_bad_line(server: MediaServer, faults: Faults) -> None:
    """Words keep their times within 40 ms, what was lost is said, and what only came late or twice is not.

    Times count from the first packet of those that came, whichever came first.
    """
    pcmu = next(each for each in OFFERED if each.encoding is Encoding.PCMU)
    report = await placed(server, {Leg.CALLER: words()}, media_format=pcmu, manner=Manner(speed=10, faults=faults))
    call = await server.taker.next_call()
    samples, gaps = heard(call)
    missing = np.isnan(report.sent)
    first, *_, last = np.flatnonzero(~missing)
    assert sum(gap.samples for gap in gaps) == int(missing[first:last].sum()) * SAMPLE_RATE // 50
    assert missing.any() == (faults.loss > 0)
    begun = [int(np.flatnonzero(~missing[at // 20 :])[0]) + at // 20 for at in WORDS_AT_MS]  # what is left of each
    assert onsets_ms(samples) == pytest.approx([20 * (frame - int(first)) for frame in begun], abs=40)


async def test_a_start_out_of_order(server: MediaServer) -> None:
    """The first packet that comes is the fourth: the three before it are heard, and nothing is shifted."""
    pcmu = next(each for each in OFFERED if each.encoding is Encoding.PCMU)
    side = WhipSide.of(Dialled(legs=(Leg.CALLER,), media_format=pcmu), CallAudio({Leg.CALLER: words()}, SAMPLE_RATE))
    late = replace(side, rtp=LateStart(side.rtp))
    await place_whip_call(
        f"{server.url}/v1/whip", late, parameters={}, token=API_KEY, clock=SystemClock(), manner=Manner(speed=10)
    )
    samples, gaps = heard(await server.taker.next_call())
    assert not gaps
    assert len(samples) == SECONDS * SAMPLE_RATE
    assert onsets_ms(samples) == pytest.approx(WORDS_AT_MS, abs=5)


async def test_a_track_of_ever_new_sources(server: MediaServer) -> None:
    """It is none: the call fails by name."""
    side = WhipSide.of(Dialled(legs=(Leg.CALLER,)), CallAudio({Leg.CALLER: words()}, SAMPLE_RATE))
    ever_new = replace(side, rtp=EverNew(side.rtp))
    await place_whip_call(
        f"{server.url}/v1/whip", ever_new, parameters={}, token=API_KEY, clock=SystemClock(), manner=Manner(speed=10)
    )
    call = await server.taker.next_call()
    assert call.fault is not None
    assert call.fault.message == "more than 16 sources in one track"


async def test_keys(server: MediaServer) -> None:
    """A key pushed during the call is told once, and makes no gap."""
    keys = (Key(400, Leg.CALLER, "7"), Key(1200, Leg.CALLER, "#"))
    await placed(server, {Leg.CALLER: words()}, manner=Manner(speed=10, keys=keys))
    call = await server.taker.next_call()
    assert [item.digit for item in call.items if isinstance(item, DtmfDigit)] == ["7", "#"]
    assert heard(call)[1] == []


async def test_refused_and_cut_off(server: MediaServer) -> None:
    """A stranger is refused by status; a line that is cut needs no DELETE."""
    with pytest.raises(CallRefusedError, match="HTTP 401"):
        await placed(server, {Leg.CALLER: words()}, token="nobody")
    cut = Manner(speed=math.inf, faults=Faults(hang_up_at_ms=500))
    report = await placed(server, {Leg.CALLER: words()}, manner=cut)
    assert report.close_code is None
    assert (await server.taker.next_call()).stop_reasons == ["hangup"]


async def test_the_command(server: MediaServer, recording: Path) -> None:
    """`callbridge play --dialect whip` sends a two-party recording in stereo; refusals are one line and status 1."""
    where = f"{server.url}/v1/whip"
    status, said, complained = await play(
        recording, "--to", where, "--dialect", "whip", "--token", API_KEY, "--param", "metadata.a=b"
    )
    assert (status, said, complained) == (0, "", "21 packets sent\n")
    call = await server.taker.next_call()
    assert call.started.legs == (Leg.CALLER, Leg.AGENT)
    assert call.started.parameters["metadata.a"] == "b"
    assert await play(recording, "--to", where, "--token", "no") == (1, "", "callbridge: HTTP 401 Unauthorized\n")
    status, _, complained = await play(recording, "--to", where, "--dialect", "twilio")
    assert (status, "go together" in complained) == (2, True)
