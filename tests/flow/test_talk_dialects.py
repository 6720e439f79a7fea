"""Talking back in every dialect that has a way back: over real sockets, from a bot to the carrier's own half."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import aiohttp
import numpy as np
import pytest
import pytest_asyncio
from aioice import ice

from bridge import call as call_module
from bridge.audio.decode import decoder_for
from bridge.carrier.audio import CallAudio
from bridge.carrier.place import place_call
from bridge.carrier.place_rtp import place_rtp_call
from bridge.carrier.place_whip import WhipSide, place_whip_call
from bridge.carrier.rtp import RtpSide
from bridge.carrier.side import CarrierSide, Dialled, encode_for
from bridge.clock import SystemClock
from bridge.dialects import DIALECTS, Dialect, Proof
from bridge.ingest.freeswitch import STREAMING
from bridge.model.stream import Encoding, Leg, MediaFormat
from bridge.talk.replies import REPLIES
from bridge.web import audiosocket
from callcodecs import g711
from tests.calling import announce, carrier_address
from tests.real_server import KEY, RealServer, real_server
from tests.tones import tone_segmenter

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENCE_S = 10
QUIET = CallAudio({Leg.CALLER: np.zeros(8 * 8000, np.int16)}, 8000)
ULAW = MediaFormat(encoding=Encoding.PCMU, sample_rate=8000)


@dataclass
class Lines:
    """A server, and where its carriers reach it."""

    server: RealServer
    asterisk: asyncio.Server

    def address(self, dialect: Dialect) -> str:
        return carrier_address(dialect, self.server.ws_url, self.asterisk)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lines(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lines]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(call_module, "Segmenter", tone_segmenter)
        patch.setattr(ice, "get_host_addresses", lambda **_: ["127.0.0.1"])
        async with real_server(tmp_path_factory.mktemp("talk"), resume_grace_s=0) as server:
            asterisk = await audiosocket.listen(server.app, "127.0.0.1", 0)
            yield Lines(server, asterisk)
            asterisk.close()


# -- a call in each dialect -----------------------------------------------------------------------------------------


Placed = tuple[CarrierSide, Coroutine[Any, Any, Any]]
"""The carrier's half, and what places the call."""


async def over_a_socket(lines: Lines, dialect: Dialect, name: str) -> Placed:
    parameters = {"call_id": name}
    side = dialect.speak(Dialled(legs=(Leg.CALLER,), token=KEY, parameters=parameters))
    if Proof.ANNOUNCED in dialect.proofs:
        await announce(lines.server.url, side, parameters, key=KEY)
    audio = encode_for(side, QUIET)
    address = lines.address(dialect)
    return side, place_call(address, audio, side, clock=SystemClock(), subprotocols=dialect.subprotocols)


async def over_rtp(lines: Lines) -> Placed:
    """Two ports: the caller's is where the bot is heard."""
    wanted = {"call_id": "rtp", "legs": ["agent", "caller"]}
    opened = await lines.server.json("POST", "/v1/rtp", status=201, json=wanted)
    side = RtpSide(Dialled(legs=(Leg.CALLER,)))
    ports = {leg["leg"]: leg["port"] for leg in opened["legs"]}
    audio = encode_for(side, QUIET)
    return side, place_rtp_call({Leg.CALLER: ("127.0.0.1", ports["caller"])}, audio, side, clock=SystemClock())


async def over_webrtc(lines: Lines) -> Placed:
    side = WhipSide.of(Dialled(legs=(Leg.CALLER,), media_format=ULAW), QUIET, hears=True)
    url = f"{lines.server.url}/v1/whip"
    placing = place_whip_call(url, side, parameters={"call_id": "webrtc"}, token=KEY, clock=SystemClock())
    return side.rtp, placing


SOCKETS = {
    **{name: dialect for name, dialect in DIALECTS.items() if name in REPLIES},
    "freeswitch-streaming": replace(DIALECTS["freeswitch"], subprotocols=(STREAMING,)),
    "freeswitch-mod_audio_stream": replace(DIALECTS["freeswitch"], subprotocols=()),
}
WAYS: dict[str, Callable[[Lines], Coroutine[Any, Any, Placed]]] = {
    **{name: partial(over_a_socket, dialect=dialect, name=name) for name, dialect in SOCKETS.items()},
    "rtp": over_rtp,
    "webrtc": over_webrtc,
}


@asynccontextmanager
async def answered(lines: Lines, name: str, **query: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A bot's socket, as soon as the call is there."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                bot = await lines.server.session.ws_connect(f"/v1/calls/{name}/talk", params=query)
                break
            except aiohttp.WSServerHandshakeError:
                await asyncio.sleep(0.02)
    async with bot:
        yield bot


async def told(bot: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        found: dict[str, Any] = await bot.receive_json()
        return found


def heard(side: CarrierSide) -> np.ndarray:
    """What the carrier was sent, from the first sound on."""
    decoder = decoder_for(side.media_format, Leg.AGENT)
    samples = np.concatenate([np.zeros(0, np.int16), *(decoder.decode(payload) for payload in side.answer)])
    loud = np.flatnonzero(samples)
    return samples[loud[0] :] if len(loud) else samples[:0]


async def more_than(samples: int, side: CarrierSide) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if len(heard(side)) > samples:
                return
            await asyncio.sleep(0.02)


async def test_no_way_back_is_left_out() -> None:
    """Every row of the table is tried below."""
    assert set(WAYS) >= set(REPLIES)


@pytest.mark.parametrize("name", WAYS)
async def test_a_bot_is_heard_in_every_dialect(lines: Lines, name: str) -> None:
    """Sample for sample in the line's codec, its marks come back, and after a `clear` no more of it is heard."""
    side, placing = await WAYS[name](lines)
    carrier = asyncio.create_task(placing)
    line = side.media_format
    ulaw = line.encoding is Encoding.PCMU
    noise = np.random.default_rng(3).integers(2, 8000, 4 * line.sample_rate // 10).astype(np.int16)
    said = g711.encode_ulaw(noise) if ulaw else noise.tobytes()
    query = {"encoding": "mulaw" if ulaw else "linear16", "sample_rate": str(line.sample_rate)}
    async with answered(lines, name, **query) as bot:
        ready = await told(bot)
        assert (ready["encoding"], ready["sample_rate"]) == (line.encoding, line.sample_rate)
        await bot.send_bytes(said)
        await bot.send_json({"type": "mark", "name": "all of it"})
        assert await told(bot) == {"type": "mark", "name": "all of it", "state": "played"}
        await more_than(len(noise) - 1, side)
        expected = g711.decode_ulaw(said) if ulaw else noise
        assert np.array_equal(heard(side)[: len(expected)], expected)
        await bot.send_bytes(said * 25)
        await bot.send_json({"type": "mark", "name": "never"})
        await more_than(len(expected), side)
        await bot.send_json({"type": "clear"})
        assert await told(bot) == {"type": "mark", "name": "never", "state": "cleared"}
        assert await told(bot) == {"type": "cleared", "reason": "asked"}
        await asyncio.sleep(0.05)
        stopped = np.count_nonzero(heard(side))
        await asyncio.sleep(0.1)
        assert np.count_nonzero(heard(side)) == stopped
    carrier.cancel()
    await asyncio.gather(carrier, return_exceptions=True)
