"""Genesys AudioHook over a real socket: what is answered, in what order, and how either side takes its leave."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

import aiohttp
import aiohttp.test_utils
import aiohttp.web
import numpy as np
import pytest

from bridge.carrier.audio import CallAudio
from bridge.carrier.genesys import GenesysSide
from bridge.carrier.place import CallReport, Manner, place_call
from bridge.carrier.side import Dialled, encode_for
from bridge.clock import SystemClock
from bridge.dialects import DIALECTS
from bridge.errors import BridgeError, CapacityError, ConflictError, ForbiddenError, StoreError
from bridge.model.stream import Discarded, Leg
from bridge.web import media
from tests.calling import dialled, say
from tests.media_server import MediaServer, ServeMedia
from tests.wire import WIRE, read

RECORDED = WIRE / "genesys"
BOTH = (Leg.CALLER, Leg.AGENT)


def address(server: MediaServer) -> str:
    return server.address(DIALECTS["genesys"])


async def told(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    """The server's next text."""
    found: dict[str, Any] = await asyncio.wait_for(socket.receive_json(), 5)
    return found


async def a_minute(server: MediaServer, *, speed: float = math.inf) -> CallReport:
    """A call of a client that goes on until it is asked to go."""
    side = GenesysSide(Dialled(legs=BOTH))
    silence = np.zeros(60 * 8000, np.int16)
    audio = encode_for(side, CallAudio(dict.fromkeys(BOTH, silence), 8000))
    return await place_call(address(server), audio, side, clock=SystemClock(), manner=Manner(speed=speed))


def kinds(report: CallReport) -> list[str]:
    return [json.loads(message)["type"] for message in report.received]


@pytest.mark.parametrize("name", ["stereo", "paused", "parameters", "kinds-added-since"])
async def test_a_recorded_session(serve_media: ServeMedia, name: str) -> None:
    """It is answered message by message, and closed by the client; what it left out has its place."""
    server = await serve_media(auth="off")
    heading, messages = read(RECORDED / f"{name}.jsonl")
    async with dialled(address(server)) as socket:
        await say(socket, messages)
        for expected in heading["expect"]["answers"]:
            assert await told(socket) == expected["message"]
        await socket.close()
        assert socket.close_code == 1000
    heard = await server.taker.next_call()
    gaps = [[item.leg, item.missing_ms, item.reason] for item in heard.items if isinstance(item, Discarded)]
    assert gaps == heading["expect"].get("left_out", [])
    assert heard.stop_reasons == ["hangup"]


async def test_a_trial_connection(serve_media: ServeMedia) -> None:
    """It is answered like any, and no call: nobody is told of it, and nothing has gone wrong."""
    server = await serve_media(auth="off")
    heading, messages = read(RECORDED / "probe.jsonl")
    async with dialled(address(server)) as socket:
        await say(socket, messages)
        for expected in heading["expect"]["answers"]:
            assert await told(socket) == expected["message"]
    await asyncio.gather(*server.app[media.SOCKETS].values())
    assert server.taker.taken.empty()


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        pytest.param(CapacityError("the last line has just gone"), "error", id="no-room"),
        pytest.param(ConflictError("this call_id is in use"), "error", id="call-id-in-use"),
        pytest.param(StoreError("the disk is full"), "error", id="store"),
        pytest.param(ForbiddenError("not with this key"), "unauthorized", id="forbidden"),
    ],
)
async def test_a_call_that_is_not_taken(serve_media: ServeMedia, refusal: BridgeError, reason: str) -> None:
    """The client is told why, and closes."""
    server = await serve_media(auth="off")
    server.taker.refusal = refusal
    report = await asyncio.wait_for(a_minute(server), 10)
    assert [kind for kind in kinds(report) if kind != "pong"] == ["opened", "disconnect", "closed"]
    said = next(said for said in map(json.loads, report.received) if said["type"] == "disconnect")
    assert said["parameters"] == {"reason": reason, "info": refusal.message}
    assert report.close_code == 1000


async def test_an_offer_that_is_not_understood(serve_media: ServeMedia) -> None:
    """There was nothing to open: the client is told, and may still close in good order."""
    server = await serve_media(auth="off")
    _, [offer] = read(RECORDED / "broken-no-media.jsonl")
    session = json.loads(offer)["id"]
    async with dialled(address(server), headers={"Audiohook-Session-Id": session}) as socket:
        await say(socket, [offer])
        said = await told(socket)
        assert (said["type"], said["seq"], said["clientseq"]) == ("disconnect", 1, 0)
        assert said["parameters"]["reason"] == "error"
        closing = {
            **json.loads(offer),
            "type": "close",
            "seq": 2,
            "serverseq": 1,
            "parameters": {"reason": "disconnect"},
        }
        await say(socket, [json.dumps(closing)])
        said = await told(socket)
        assert (said["type"], said["seq"], said["clientseq"]) == ("closed", 2, 2)
    assert server.taker.taken.empty()


async def test_a_shutdown(serve_media: ServeMedia) -> None:
    """The client is asked to go, is heard until it has, and the call has ended as drained."""
    server = await serve_media(auth="off")
    calling = asyncio.create_task(a_minute(server, speed=1))
    heard = await server.taker.next_call(ended=False)
    await heard.heard(2)
    await asyncio.wait_for(media.leave(server.app), 5)
    report = await asyncio.wait_for(calling, 5)
    assert kinds(report)[-2:] == ["disconnect", "closed"]
    assert json.loads(report.received[-2])["parameters"] == {"reason": "completed"}
    assert report.close_code == 1000
    assert heard.stop_reasons == ["drained"]


async def test_a_client_that_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """`callbridge play` sends no audio to a server that does not open its session, and gives up."""
    monkeypatch.setattr("bridge.carrier.place.ANSWERED_WITHIN_S", 0.05)
    said: list[Any] = []

    async def silent(request: aiohttp.web.BaseRequest) -> aiohttp.web.WebSocketResponse:
        socket = aiohttp.web.WebSocketResponse()
        await socket.prepare(request)
        said.extend([message.type async for message in socket])
        return socket

    async with aiohttp.test_utils.RawTestServer(silent) as server:
        side = GenesysSide(Dialled(legs=BOTH))
        audio = encode_for(side, CallAudio(dict.fromkeys(BOTH, np.zeros(8000, np.int16)), 8000))
        report = await place_call(str(server.make_url("/")), audio, side, clock=SystemClock())
    assert said == [aiohttp.WSMsgType.TEXT]
    assert report.messages_sent == 1
