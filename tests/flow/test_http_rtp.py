"""Asking for RTP ports: what may be asked, who is refused and how, and how long ports wait."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bridge.errors import CapacityError
from bridge.ingest.rtp import Expected, RtpStream
from bridge.ingest.rtp_formats import PayloadTypes
from bridge.model.stream import Leg, MediaChunk, StreamItem, StreamStarted, StreamStopped
from bridge.ports import Store
from bridge.settings import Settings
from bridge.web import rtp_media
from bridge.web.auth import Scope
from bridge.web.rtp_media import RtpMedia
from bridge.web.rtp_ports import open_pairs
from callcodecs.rtp import RtpPacket
from tests.clock import VirtualClock
from tests.free_ports import free_ports
from tests.http_server import HttpServer, until
from tests.media_server import TakenCall

FOUR_PAIRS = 8


@pytest.fixture
async def http(sqlite_store: Store, clock: VirtualClock) -> AsyncIterator[HttpServer]:
    """With four pairs of ports and short patience."""
    first = free_ports(FOUR_PAIRS)
    settings = Settings(rtp_ports=f"{first}-{first + FOUR_PAIRS - 1}", start_timeout_s=10, idle_timeout_s=30)
    async with HttpServer(sqlite_store, clock, settings) as server:
        yield server


async def opened(http: HttpServer, **body: Any) -> dict[str, Any]:
    found: dict[str, Any] = await http.json("POST", "/v1/rtp", status=201, json=body)
    return found


def speak(port: int, *numbers: int, payload_type: int = 0) -> None:
    """Frames of 20 ms to a port of this machine, always from the same one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("127.0.0.1", port + 1000))
        for number in numbers:
            packet = RtpPacket(
                payload_type=payload_type, sequence=number, timestamp=160 * number, ssrc=1, payload=b"\xff" * 160
            )
            sender.sendto(packet.serialize(), ("127.0.0.1", port))


async def begun(http: HttpServer, answer: dict[str, Any]) -> TakenCall:
    speak(answer["legs"][0]["port"], 0)
    return await http.taker.next_call(ended=False)


async def test_ports_are_told(http: HttpServer) -> None:
    """An even port for RTP and the next one for RTCP, a pair a leg; what was asked goes into the call."""
    body = {
        "legs": ["caller", "agent"],
        "call_id": "sale-7",
        "carrier_call_id": "1700.1",
        "language": "de",
        "keywords": ["Ohm", "Volt"],
        "metadata": {"queue": "sales"},
    }
    answer = await opened(http, **body)
    ports = [leg["port"] for leg in answer["legs"]]
    assert all(port in http.settings.rtp_port_range for port in ports)
    assert [leg["rtcp_port"] for leg in answer["legs"]] == [port + 1 for port in ports]
    assert (answer["call_id"], answer["address"], answer["started"]) == ("sale-7", "127.0.0.1", False)
    call = await begun(http, answer)
    assert (call.tenant, call.started.carrier, call.started.carrier_call_id) == ("acme", "rtp", "1700.1")
    assert call.started.legs == (Leg.CALLER, Leg.AGENT)
    assert call.started.parameters == {
        "call_id": "sale-7",
        "language": "de",
        "keywords": "Ohm,Volt",
        "metadata.queue": "sales",
    }


async def test_where_to_find_it(http: HttpServer) -> None:
    """Location leads to what is told of the ports; without a body there is one leg, and an id is made."""
    response = await http.ask("POST", "/v1/rtp")
    assert response.status == 201
    answer = await http.json("GET", response.headers["Location"])
    assert [leg["leg"] for leg in answer["legs"]] == ["mixed"]
    assert answer["call_id"].startswith("call_")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("source", "everywhere", id="no-network"),
        pytest.param("metadata", {"note": "x" * 1001}, id="a-long-value"),
        pytest.param("metadata", {str(n): "x" for n in range(51)}, id="many-values"),
        pytest.param("keywords", ["x"] * 51, id="many-keywords"),
    ],
)
async def test_what_cannot_be_asked(http: HttpServer, field: str, value: Any) -> None:
    """It is refused by the field's name; what goes with a call has the same bounds as however else it is told."""
    error = await http.fault("POST", "/v1/rtp", status=422, json={field: value})
    assert any(name.startswith(field) for name in error["details"]["fields"])


async def test_who_may_ask(http: HttpServer) -> None:
    """Media's scope is needed, and one tenant's ports are nothing to another."""
    answer = await opened(http)
    path = f"/v1/rtp/{answer['id']}"
    assert (await http.fault("POST", "/v1/rtp", status=401, tenant=None))["code"] == "unauthorised"
    reader = {"Authorization": f"Bearer {http.token(Scope.CALLS_READ)}"}
    await http.fault("POST", "/v1/rtp", status=403, tenant=None, headers=reader)
    for method in ("GET", "DELETE"):
        await http.fault(method, path, status=404, tenant="rival")
    await http.json("DELETE", path, status=204)


async def test_no_room(http: HttpServer) -> None:
    """At capacity, while the server leaves, and without a free port: 503, and when to try again."""
    http.taker.room = False
    response = await http.ask("POST", "/v1/rtp")
    assert (response.status, response.headers["Retry-After"]) == (503, "7")
    http.taker.room = True
    for _ in range(2):
        await opened(http, legs=["caller", "agent"])
    error = await http.fault("POST", "/v1/rtp", status=503)
    assert error["code"] == "at_capacity"
    assert f"no 1 pairs of UDP ports are free from {http.settings.rtp_ports.replace('-', ' to ')}" in error["message"]
    http.context.leaving.set()
    assert "shutting down" in (await http.fault("POST", "/v1/rtp", status=503))["message"]


async def test_ports_come_back(http: HttpServer) -> None:
    """A call that is over holds none."""
    for _ in range(6):
        answer = await opened(http, legs=["caller", "agent"])
        call = await begun(http, answer)
        await http.json("DELETE", f"/v1/rtp/{answer['id']}", status=204)
        await asyncio.wait_for(call.ended.wait(), 5)
        assert call.stop_reasons == ["hangup"]


async def test_one_call_an_id(http: HttpServer) -> None:
    """A call id that has ports, or that is a call already, is not given again."""
    await opened(http, call_id="sale-7")
    assert (await http.fault("POST", "/v1/rtp", status=409, json={"call_id": "sale-7"}))["code"] == "conflict"
    theirs = await http.json("POST", "/v1/rtp", status=201, json={"call_id": "sale-7"}, tenant="rival")
    assert theirs["call_id"] == "sale-7", "an id is its tenant's own"


async def test_nobody_speaks(http: HttpServer) -> None:
    """The ports are closed after the start timeout, or the time that was asked for; there was no call."""
    short, long = await opened(http), await opened(http, start_timeout_s=60)
    await http.clock.advance(11)
    await http.fault("GET", f"/v1/rtp/{short['id']}", status=404)
    await http.json("GET", f"/v1/rtp/{long['id']}")
    await http.clock.advance(50)
    await http.fault("GET", f"/v1/rtp/{long['id']}", status=404)
    assert http.taker.taken.empty()


async def test_speech_stops(http: HttpServer) -> None:
    """Nothing for the idle timeout: the call ends so; what comes in time keeps it up."""
    answer = await opened(http)
    port = answer["legs"][0]["port"]
    call = await begun(http, answer)
    await http.clock.advance(20)
    speak(port, *range(1, 30))
    await call.heard(29)
    await http.clock.advance(20)
    assert not call.ended.is_set()
    await http.clock.advance(11)
    await asyncio.wait_for(call.ended.wait(), 5)
    assert call.stop_reasons == ["idle"]


async def test_a_source_that_was_named(http: HttpServer) -> None:
    """Only it is heard."""
    answer = await opened(http, source="192.0.2.0/24")
    speak(answer["legs"][0]["port"], 0)
    path = f"/v1/rtp/{answer['id']}"
    async with asyncio.timeout(5):
        seen = await http.json("GET", path)
        while not seen["legs"][0]["strangers"]:
            seen = await http.json("GET", path)
    assert not seen["started"]


async def test_a_shutdown(http: HttpServer) -> None:
    """Calls in progress end as drained, ports that wait are closed."""
    call = await begun(http, await opened(http))
    await opened(http)
    await http.app.shutdown()
    await asyncio.wait_for(call.ended.wait(), 5)
    assert call.stop_reasons == ["drained"]


# -- the ports by themselves ----------------------------------------------------------------------------------------


def a_call(clock: VirtualClock, **given: Any) -> RtpMedia:
    expected = Expected(
        carrier="rtp",
        carrier_call_id="",
        stream_id="rtp_1",
        legs=(Leg.MIXED,),
        payload_types={Leg.MIXED: PayloadTypes()},
    )
    pairs = open_pairs("127.0.0.1", [free_ports(2)], 1)
    timeouts = {"start_timeout_s": 10, "idle_timeout_s": 30} | given
    return RtpMedia(RtpStream(expected), {Leg.MIXED: pairs[0]}, carrier="rtp", clock=clock, **timeouts)


async def test_a_call_that_is_slow(clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Datagrams wait up to a bound; those beyond are counted, and heard of as what was lost."""
    monkeypatch.setattr(rtp_media, "MOST_WAITING", 40 * (172 + rtp_media.OVERHEAD))
    media = a_call(clock)
    port = media.pairs[Leg.MIXED].port
    items = media.items()
    speak(port, 0)
    heard: list[StreamItem] = [await anext(items)]
    speak(port, *range(1, 100))
    await until(lambda: media.dropped == 59)
    speak(port, 200)
    media.end("hangup")
    heard += [item async for item in items]
    assert isinstance(heard[0], StreamStarted)
    assert len([item for item in heard if isinstance(item, MediaChunk)]) == 41
    assert heard[-1] == StreamStopped(reason="hangup")


async def test_only_types_that_nobody_explained(clock: VirtualClock) -> None:
    """The fault says which came instead of speech."""
    media = a_call(clock)
    speak(media.pairs[Leg.MIXED].port, 0, 1, payload_type=18)
    listening = asyncio.create_task(anext(media.items(), None))
    await until(lambda: media.stream.unread_types == {18})
    await clock.advance(11)
    assert await listening is None
    assert media.fault is not None
    assert (media.fault.code, "18" in media.fault.message) == ("unsupported_media", True)


def test_pairs_that_are_taken() -> None:
    """A pair is given only whole: its odd port alone being taken makes it useless."""
    first = free_ports(4)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", first + 1))
        [pair] = open_pairs("127.0.0.1", [first, first + 2], 1)
        assert pair.port == first + 2
        pair.close()
        with pytest.raises(CapacityError):
            open_pairs("127.0.0.1", [first, first + 2], 2)
        [again] = open_pairs("127.0.0.1", [first + 2], 1)
        again.close()
