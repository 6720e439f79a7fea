"""SIPREC over real sockets, UDP and TCP: what a recording client sends, and what becomes of it."""

from __future__ import annotations

import asyncio
import itertools
import math
import shutil
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer

from bridge import call
from bridge.app import build
from bridge.carrier.faults import Faults
from bridge.carrier.place import Manner
from bridge.carrier.place_rtp import place_rtp_call
from bridge.carrier.rtp import RtpSide
from bridge.carrier.side import Dialled
from bridge.clock import SystemClock
from bridge.model.stream import Discarded, Leg, MediaChunk
from bridge.ports import Store
from bridge.settings import Settings
from bridge.web import sip_tcp
from callcodecs.rtp import RtpPacket
from tests.clock import VirtualClock
from tests.flow.test_dialects import KEY, PATIENCE_S, Bridge, encoded
from tests.free_ports import free_ports
from tests.http_server import HttpServer, until
from tests.sip import SipClient, multipart, recording, sdp
from tests.tones import DURATION_MS, ToneEngine, heard_on, tone_segmenter

BOTH = (Leg.CALLER, Leg.AGENT)


@pytest.fixture
async def http(sqlite_store: Store, clock: VirtualClock) -> AsyncIterator[HttpServer]:
    """A server that takes SIPREC from this machine, with three pairs of ports; calls are only written down."""
    first = free_ports(6)
    settings = Settings(sip_port=free_ports(), sip_sources="127.0.0.0/8", rtp_ports=f"{first}-{first + 5}")
    async with HttpServer(sqlite_store, clock, settings) as server:
        yield server


@pytest.fixture(params=["UDP", "TCP"])
async def client(http: HttpServer, request: pytest.FixtureRequest) -> AsyncIterator[SipClient]:
    connected = await SipClient(transport=request.param).connect(http.settings.sip_port)
    yield connected
    await connected.close()


@pytest.fixture
async def udp(http: HttpServer) -> AsyncIterator[SipClient]:
    connected = await SipClient().connect(http.settings.sip_port)
    yield connected
    await connected.close()


class Sender:
    """One leg's RTP, always from the same port."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.number = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))

    def speak(self, frames: int) -> None:
        for number in range(self.number, self.number + frames):
            packet = RtpPacket(payload_type=0, sequence=number, timestamp=160 * number, ssrc=9, payload=b"\xff" * 160)
            self._socket.sendto(packet.serialize(), ("127.0.0.1", self.port))
        self.number += frames

    def close(self) -> None:
        self._socket.close()


async def test_a_recording(http: HttpServer, client: SipClient) -> None:
    """200 with a port a stream, in order; two legs with their names; BYE is the hang-up."""
    answer = await client.record()
    assert answer.status == 200
    assert answer.headers["require"] == "siprec"
    assert "+sip.srs" in answer.headers["contact"]
    assert ("transport=tcp" in answer.headers["contact"]) == (client.transport == "TCP")
    assert answer.directions == ["recvonly", "recvonly"]
    assert "a=label:a_leg" in answer.body
    assert "a=label:b_leg" in answer.body
    senders = [Sender(port) for port in answer.ports]
    for sender in senders:
        sender.speak(30)
    call = await http.taker.next_call(ended=False)
    assert (call.tenant, call.started.carrier, call.started.carrier_call_id) == ("default", "siprec", client.call_id)
    assert call.started.legs == BOTH
    assert {name: value for name, value in call.started.parameters.items() if name != "call_id"} == {
        "metadata.recording_session": "c2Vzc2lvbg==",
        "metadata.caller_name": "Dana Caller",
        "metadata.caller_address": "sip:+15550100@example.org",
        "metadata.agent_name": "Desk 7",
        "metadata.agent_address": "sip:desk7@example.org",
    }
    await call.heard(60)
    assert (await client.ask("BYE")).status == 200
    await asyncio.wait_for(call.ended.wait(), PATIENCE_S)
    assert call.stop_reasons == ["hangup"]
    for sender in senders:
        sender.close()


async def test_hold_and_resume(http: HttpServer, udp: SipClient) -> None:
    """`inactive` is answered so; nothing comes for longer than a line may be idle; what was held back is a named gap."""
    answer = await udp.record()
    senders = [Sender(port) for port in answer.ports]
    for sender in senders:
        sender.speak(30)
    call = await http.taker.next_call(ended=False)
    await call.heard(60)
    held = await udp.record(("application/sdp", sdp("inactive")))
    assert (held.status, held.directions, held.ports) == (200, ["inactive", "inactive"], answer.ports)
    await http.clock.advance(90)
    assert not call.ended.is_set()
    resumed = await udp.record(("application/sdp", sdp()))
    assert (resumed.status, resumed.directions, resumed.ports) == (200, ["recvonly", "recvonly"], answer.ports)
    for sender in senders:
        sender.speak(30)
    await until(lambda: sum(isinstance(item, MediaChunk) for item in call.items) == 120)
    gaps = [item for item in call.items if isinstance(item, Discarded)]
    assert {(gap.leg, gap.reason) for gap in gaps} == {(leg, "held") for leg in BOTH}
    assert all(gap.missing_ms == pytest.approx(90_000, abs=40) for gap in gaps)
    assert (await udp.ask("BYE")).status == 200
    for sender in senders:
        sender.close()


async def test_metadata_that_comes_later(http: HttpServer, udp: SipClient) -> None:
    """An update without SDP is taken, and changes nothing that is sent."""
    await udp.record()
    later = multipart(("application/rs-metadata+xml", "<recording/>"))
    assert (await udp.ask("UPDATE", later)).status == 200
    assert (await udp.record(later)).ports


async def test_who_pings(udp: SipClient) -> None:
    """OPTIONS says what there is."""
    answer = await udp.ask("OPTIONS")
    assert answer.status == 200
    assert "INVITE" in answer.headers["allow"]
    assert answer.headers["supported"] == "siprec"


async def test_what_comes_again(http: HttpServer, udp: SipClient) -> None:
    """A request that is repeated gets the answer that it got, and starts nothing; a 200 is repeated until its ACK."""
    first = await udp.ask("INVITE", recording())
    udp.send(udp.sent)
    again = await udp.hear()
    assert (again.status, again.tag, again.ports) == (200, first.tag, first.ports)
    for _ in range(2):
        await http.clock.advance(1.0)
        assert (await udp.hear()).tag == first.tag
    udp.tag = first.tag
    udp.say("ACK", cseq=udp.cseq)
    assert (await udp.ask("OPTIONS", cseq=77)).status == 200  # behind the ACK
    while not udp.came.empty():
        udp.came.get_nowait()
    await http.clock.advance(20.0)
    assert (await udp.ask("BYE")).headers["cseq"].endswith("BYE")


async def test_an_ack_that_never_comes(http: HttpServer, udp: SipClient) -> None:
    """The call is given up after 32 s, the client is told, and the ports are free again."""
    await udp.ask("INVITE", recording())
    for _ in range(40):
        await http.clock.advance(1.0)
    async with asyncio.timeout(PATIENCE_S):
        while (await udp.hear()).headers[""].split()[0] != "BYE":
            pass
    other = await SipClient(call_id="recording-2@x").connect(http.settings.sip_port)
    assert (await other.record()).status == 200
    await other.close()


@pytest.mark.parametrize(
    ("content", "status"),
    [
        pytest.param(("", ""), 488, id="no-offer"),
        pytest.param(("application/sdp", sdp(formats="18")), 488, id="no-codec-of-ours"),
        pytest.param(("application/sdp", sdp().replace("RTP/AVP", "RTP/SAVP")), 488, id="encrypted"),
        pytest.param(("application/sdp", sdp().replace("m=audio 20000", "m=audio x")), 400, id="broken-SDP"),
        pytest.param(recording(metadata="<recording"), 400, id="broken-metadata"),
        pytest.param(recording(metadata="<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"), 400, id="metadata-with-entities"),
        pytest.param(("multipart/mixed;boundary=x", "nothing"), 400, id="broken-multipart"),
        pytest.param(("application/sdp", sdp()), 200, id="no-metadata"),
        pytest.param(("application/sdp", sdp(labels=("1",))), 200, id="one-stream"),
    ],
)
async def test_what_is_offered(http: HttpServer, udp: SipClient, content: tuple[str, str], status: int) -> None:
    """What cannot be recorded is refused for what it is, and holds no port."""
    answer = await udp.record(content)
    assert answer.status == status
    if status != 200:
        assert "warning" in answer.headers
        udp.call_id = "recording-2@x"
        udp.cseq = 0
        assert (await udp.record()).status == 200


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        pytest.param("BYE", "", 481, id="bye-of-nothing"),
        pytest.param("UPDATE", "", 481, id="update-of-nothing"),
        pytest.param("CANCEL", "", 481, id="cancel-of-nothing"),
        pytest.param("REFER", "", 405, id="a-method-that-is-not-for-us"),
        pytest.param("INVITE", "Require: 100rel\r\n", 420, id="an-extension-that-is-not-ours"),
    ],
)
async def test_what_is_refused(udp: SipClient, method: str, headers: str, status: int) -> None:
    """By SIP's own statuses."""
    assert (await udp.ask(method, headers=headers)).status == status


async def test_no_room(http: HttpServer, udp: SipClient) -> None:
    """486 when full or without a free port, 503 when the server leaves; each says when to try again."""
    http.taker.room = False
    full = await udp.ask("INVITE", recording())
    assert (full.status, full.headers["retry-after"]) == (486, "7")
    http.taker.room = True
    udp.call_id = "recording-2@x"
    assert (await udp.record()).status == 200
    other = await SipClient(call_id="recording-3@x").connect(http.settings.sip_port)
    assert (await other.record()).status == 486
    other.call_id = "recording-4@x"
    http.context.leaving.set()
    assert (await other.record()).status == 503
    await other.close()


async def test_hung_up_by_us(http: HttpServer, client: SipClient) -> None:
    """A call that ends here (idle, drained) ends at the client too."""
    answer = await client.record()
    sender = Sender(answer.ports[0])
    sender.speak(30)
    call = await http.taker.next_call(ended=False)
    await call.heard(30)
    await http.clock.advance(31)
    await asyncio.wait_for(call.ended.wait(), PATIENCE_S)
    bye = await client.hear()
    assert bye.headers[""].startswith("BYE ")
    assert bye.headers["call-id"] == client.call_id
    assert (await client.ask("BYE")).status == 481
    sender.close()


async def test_a_stranger(sqlite_store: Store, clock: VirtualClock) -> None:
    """A host that is not in the list is refused, whatever it asks."""
    settings = Settings(sip_port=free_ports(), sip_sources="192.0.2.0/24")
    async with HttpServer(sqlite_store, clock, settings):
        client = await SipClient().connect(settings.sip_port)
        assert (await client.ask("OPTIONS")).status == 403
        assert (await client.record()).status == 403
        await client.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", settings.sip_port)
        assert await _ended(reader), "a connection is not taken at all"
        writer.close()


async def test_connections_without_end(http: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more than there may be is closed, and those that are there go on; one that has gone makes room."""
    monkeypatch.setattr(sip_tcp, "MOST_CONNECTIONS", 2)
    first, second = [await SipClient(transport="TCP").connect(http.settings.sip_port) for _ in range(2)]
    assert (await first.ask("OPTIONS")).status == (await second.ask("OPTIONS")).status == 200
    reader, writer = await asyncio.open_connection("127.0.0.1", http.settings.sip_port)
    assert await _ended(reader)
    writer.close()
    await second.close()
    third = await SipClient(transport="TCP").connect(http.settings.sip_port)
    assert (await third.ask("OPTIONS")).status == (await first.ask("OPTIONS")).status == 200
    for client in (first, third):
        await client.close()


async def test_a_client_that_reads_no_answers(http: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection ends before its answers fill the memory."""
    monkeypatch.setattr(sip_tcp, "MOST_UNREAD", 1_000)
    _, writer = await asyncio.open_connection("127.0.0.1", http.settings.sip_port)
    writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's

    async def ask_on() -> None:
        for number in itertools.count():
            writer.write(
                f"OPTIONS sip:srs@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK{number}\r\n"
                f"From: <sip:a@b>;tag=1\r\nTo: <sip:b@b>\r\nCall-ID: c\r\nCSeq: {number} OPTIONS\r\nMax-Forwards: 70\r\n"
                f"Record-Route: <sip:{'x' * 30_000}@b>\r\nContent-Length: 0\r\n\r\n".encode()
            )
            await writer.drain()

    with pytest.raises(ConnectionError):
        await asyncio.wait_for(ask_on(), PATIENCE_S)
    writer.close()


async def _ended(reader: asyncio.StreamReader) -> bool:
    """Whether the other side has ended a connection."""
    try:
        return await asyncio.wait_for(reader.read(1), PATIENCE_S) == b""
    except ConnectionError:
        return True


# -- the whole way --------------------------------------------------------------------------------------------------


class Muted(RtpSide):
    """A client that leaves its goodbye to SIP."""

    def closing(self) -> Sequence[bytes]:
        return []


@pytest_asyncio.fixture(loop_scope="function")
async def bridge(tmp_path: Path) -> AsyncIterator[tuple[Bridge, int]]:
    """The whole server and its SIP port; only the recogniser is a script."""
    port, first = free_ports(), free_ports(40)
    settings = Settings(
        bootstrap_key=KEY,
        database_url=f"sqlite:///{tmp_path}/callbridge.db",
        spool_dir=tmp_path,
        sip_port=port,
        sip_sources="127.0.0.1",
        rtp_ports=f"{first}-{first + 39}",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(call, "Segmenter", tone_segmenter)
        server = TestServer(build(settings, SystemClock(), ToneEngine()), host="127.0.0.1")
        await server.start_server()
        yield Bridge(str(server.make_url("")).rstrip("/")), port
        await server.close()


async def calls_of(bridge: Bridge) -> list[dict[str, Any]]:
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session,
        session.get(f"{bridge.url}/v1/calls") as answer,
    ):
        found: list[dict[str, Any]] = (await answer.json())["calls"]
        return found


async def the_call(bridge: Bridge) -> list[dict[str, Any]]:
    """The events of the only call, once it is settled."""
    async with asyncio.timeout(PATIENCE_S):
        calls = await calls_of(bridge)
        while not calls:
            calls = await calls_of(bridge)
    return await bridge.events(calls[0]["call_id"])


async def test_the_same_events(bridge: tuple[Bridge, int]) -> None:
    """Both parties' words at their times, on a line that loses and mixes up packets."""
    server, port = bridge
    client = await SipClient().connect(port)
    answer = await client.record()
    side = Muted(Dialled(legs=BOTH))
    await place_rtp_call(
        {leg: ("127.0.0.1", where) for leg, where in zip(BOTH, answer.ports, strict=True)},
        encoded(side.media_format, BOTH, side.frame_ms),
        side,
        clock=SystemClock(),
        manner=Manner(speed=math.inf, faults=Faults(loss=0.01, reorder_ms=200, seed=5)),
    )
    assert (await client.ask("BYE")).status == 200
    await client.close()
    events = await the_call(server)
    assert events[0]["metadata"]["caller_name"] == "Dana Caller"
    for leg, utterances in heard_on(BOTH).items():
        finals = [event for event in events if event["type"] == "transcript.final" and event["leg"] == leg]
        assert [final["text"].split() for final in finals] == [[said.word for said in words] for words in utterances]
        for final, words in zip(finals, utterances, strict=True):
            assert final["start_ms"] == pytest.approx(words[0].start_ms, abs=40)
    assert events[-1]["reason"] == "hangup"
    assert events[-1]["duration_ms"] == pytest.approx(DURATION_MS, abs=200)


SIPP = shutil.which("sipp")
SCENARIO = Path(__file__).parent / "siprec.xml"


@pytest.mark.skipif(SIPP is None, reason="needs SIPp (Debian: sip-tester)")
@pytest.mark.parametrize("transport", ["u1", "t1"])
async def test_sipp_as_the_client(bridge: tuple[Bridge, int], transport: str) -> None:
    """Another's SIP: INVITE with metadata, ACK, hold, resume, BYE, over UDP and TCP, several at a time."""
    _, port = bridge
    sipp = await asyncio.create_subprocess_exec(
        *[str(SIPP), f"127.0.0.1:{port}", "-sf", str(SCENARIO), "-t", transport, "-m", "10", "-r", "20", "-l", "5"],
        *["-i", "127.0.0.1", "-p", str(free_ports()), "-nostdin", "-timeout", f"{3 * PATIENCE_S}s", "-timeout_error"],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"TERM": "dumb"},
    )
    output, _ = await asyncio.wait_for(sipp.communicate(), 4 * PATIENCE_S)
    assert sipp.returncode == 0, output.decode(errors="replace")[-3000:]
