"""AudioSocket over real TCP: who is let in, the silence that keeps Asterisk sending, deadlines, and how it is told no."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import aiohttp
import numpy as np
import pytest

from bridge.carrier.audio import CallAudio
from bridge.carrier.audiosocket import AudioSocketSide
from bridge.carrier.place import place_call
from bridge.carrier.side import Dialled, encode_for
from bridge.clock import SystemClock
from bridge.errors import BridgeError, CallRefusedError, CapacityError, ConflictError, StoreError
from bridge.ingest.audiosocket import FRAME_MS, HEADER, Kind, packet
from bridge.metrics import CALLS_REFUSED, MEDIA_ERRORS
from bridge.model.stream import DtmfDigit, Leg, StreamStopped
from bridge.web import audiosocket, media
from tests.calling import counted
from tests.clock import VirtualClock
from tests.media_server import API_KEY, MediaServer, ServeMedia
from tests.wire import name, read, recordings

CALL = UUID("40325ec2-5efd-4bd3-805f-53576e581d13")
NAMED = packet(Kind.UUID, CALL.bytes)
AUDIO = packet(Kind.AUDIO, bytes(range(64)) * 5)
WIDE = packet(0x12, bytes(640))
HANG_UP = packet(Kind.HANG_UP)


@dataclass
class Asterisk:
    """One connection, spoken on by hand."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def say(self, *packets: bytes) -> None:
        self.writer.write(b"".join(packets))

    async def next(self) -> bytes:
        """The next packet; empty at the connection's end."""
        async with asyncio.timeout(5):
            header = await self.reader.read(HEADER.size)
            return header and header + await self.reader.readexactly(HEADER.unpack(header)[1])

    async def rest(self) -> list[bytes]:
        """All packets until the connection ends, without the silence."""
        found = []
        while got := await self.next():
            if got[0] != Kind.AUDIO:
                found.append(got)
        return found


@asynccontextmanager
async def connected(server: MediaServer) -> AsyncIterator[Asterisk]:
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(server.audiosocket).port)
    try:
        yield Asterisk(reader, writer)
    finally:
        writer.close()


async def announced(server: MediaServer, *, status: int = 201, **body: Any) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {API_KEY}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        answer = await session.post(f"{server.url}/v1/audiosocket", json=body)
        assert answer.status == status, await answer.text()
        found: dict[str, Any] = await answer.json()
        return found


# -- who may --------------------------------------------------------------------------------------------------------


async def test_an_announced_call(serve_media: ServeMedia) -> None:
    """It belongs to whoever announced it, with all that was said of it; from a network that may not call otherwise."""
    server = await serve_media(audiosocket_networks="off")
    told = await announced(
        server,
        leg="mixed",
        call_id="order-4711",
        language="de",
        keywords=["Tisch", "Lampe"],
        diarize=True,
        metadata={"queue": "sales"},
    )
    async with connected(server) as asterisk:
        asterisk.say(packet(Kind.UUID, UUID(told["uuid"]).bytes), AUDIO, packet(Kind.DTMF, b"5"), AUDIO)
    heard = await server.taker.next_call()
    assert (heard.tenant, heard.started.carrier_call_id) == ("acme", told["uuid"])
    assert heard.started.legs == (Leg.MIXED,)
    assert heard.started.parameters == {
        "call_id": "order-4711",
        "language": "de",
        "keywords": "Tisch,Lampe",
        "diarize": "true",
        "metadata.queue": "sales",
    }
    assert [chunk.payload for chunk in heard.chunks(Leg.MIXED)] == [AUDIO[HEADER.size :]] * 2
    assert [item for item in heard.items if isinstance(item, DtmfDigit)] == [DtmfDigit(leg=Leg.MIXED, digit="5")]
    assert heard.stop_reasons == ["closed"]
    assert not heard.items[-1].broken


@pytest.mark.parametrize(
    ("settings", "tenant"),
    [
        pytest.param({}, "default", id="this-machine"),
        pytest.param({"audiosocket_networks": "10.0.0.0/8, 127.0.0.1"}, "default", id="listed"),
        pytest.param({"audiosocket_networks": "off", "auth": "off"}, "default", id="auth-off"),
        pytest.param({"audiosocket_networks": "10.0.0.0/8"}, None, id="another-network"),
        pytest.param({"audiosocket_networks": "off"}, None, id="nobody"),
    ],
)
async def test_a_call_that_was_not_announced(
    serve_media: ServeMedia, settings: dict[str, Any], tenant: str | None
) -> None:
    """From a network on the list it is the default tenant's; from elsewhere it is hung up on, and counted."""
    server = await serve_media(**settings)
    before = counted(MEDIA_ERRORS, "audiosocket", "carrier_unauthorised")
    async with connected(server) as asterisk:
        asterisk.say(NAMED, AUDIO)
        if tenant is None:
            assert await asterisk.rest() == [HANG_UP]
            assert counted(MEDIA_ERRORS, "audiosocket", "carrier_unauthorised") == before + 1
            assert server.taker.taken.empty()
            return
        heard = await server.taker.next_call(ended=False)
    assert (heard.tenant, heard.started.carrier_call_id) == (tenant, str(CALL))
    assert heard.started.parameters == {}


async def test_an_announcement_is_good_for_one_call(serve_media: ServeMedia) -> None:
    """Whoever has seen the UUID on the wire cannot call with it again."""
    server = await serve_media(audiosocket_networks="off")
    await announced(server, uuid=str(CALL))
    await announced(server, uuid=str(CALL), status=409)
    for hung_up in (False, True):
        async with connected(server) as asterisk:
            asterisk.say(NAMED, AUDIO)
            asterisk.writer.write_eof()
            assert await asterisk.rest() == ([HANG_UP] if hung_up else [])
    assert server.taker.taken.qsize() == 1


async def test_an_announcement_expires(serve_media: ServeMedia) -> None:
    """A call that comes too late is not let in by it."""
    clock = VirtualClock()
    server = await serve_media(audiosocket_networks="off", clock=clock)
    told = await announced(server, uuid=str(CALL), expires_in=60)
    assert told["expires_at"] == "2027-01-15T08:01:00.000Z"
    await clock.advance(60)
    async with connected(server) as asterisk:
        asterisk.say(NAMED, AUDIO)
        assert await asterisk.rest() == [HANG_UP]
    await announced(server, uuid=str(CALL))


async def test_too_many_announcements(serve_media: ServeMedia, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list is bounded; those that have expired make room."""
    monkeypatch.setattr(audiosocket, "MOST_ANNOUNCED", 2)
    clock = VirtualClock()
    server = await serve_media(clock=clock)
    await announced(server)
    await announced(server, expires_in=30)
    await announced(server, status=503)
    await clock.advance(30)
    await announced(server)


@pytest.mark.parametrize("url", ["tcp://127.0.0.1:1", "tcp://127.0.0.1:99999999"], ids=["nobody", "no-port"])
async def test_a_call_that_nobody_takes(url: str) -> None:
    """A carrier is told so in a line, as with a WebSocket."""
    side = AudioSocketSide(Dialled(legs=(Leg.CALLER,)))
    audio = encode_for(side, CallAudio({Leg.CALLER: np.zeros(800, np.int16)}, 8000))
    with pytest.raises(CallRefusedError, match=f"cannot connect to {url}"):
        await place_call(url, audio, side, clock=SystemClock())


# -- silence --------------------------------------------------------------------------------------------------------


async def test_silence_from_the_first_moment(serve_media: ServeMedia) -> None:
    """20 ms of it every 20 ms, before a word was said; then in the kind that is heard; never more than time has passed."""
    clock = VirtualClock()
    server = await serve_media(auth="off", clock=clock)
    async with connected(server) as asterisk:
        assert await asterisk.next() == packet(Kind.AUDIO, bytes(320))
        await clock.advance(0.1)
        assert [await asterisk.next() for _ in range(5)] == [packet(Kind.AUDIO, bytes(320))] * 5
        asterisk.say(NAMED, WIDE)
        heard = await server.taker.next_call(ended=False)
        await heard.heard(1)
        await clock.advance(FRAME_MS / 1000)
        assert await asterisk.next() == WIDE
        asterisk.writer.write_eof()
        assert not [got for got in await asterisk.rest() if got != WIDE]


# -- ends -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("why", ["full", "leaving"])
async def test_no_room(serve_media: ServeMedia, why: str) -> None:
    """A call too many, and any to a server that shuts down, is hung up on before it is heard, and counted."""
    server = await serve_media(auth="off")
    server.taker.room = why != "full"
    if why == "leaving":
        server.context.leaving.set()
    before = counted(CALLS_REFUSED, "audiosocket", "at_capacity")
    async with connected(server) as asterisk:
        asterisk.say(NAMED, AUDIO)
        assert await asterisk.rest() == [HANG_UP]
    assert counted(CALLS_REFUSED, "audiosocket", "at_capacity") == before + 1
    assert server.taker.taken.empty()


@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param(CapacityError("the last line has just gone"), id="no-room"),
        pytest.param(ConflictError("this call_id is in use"), id="call-id-in-use"),
        pytest.param(StoreError("the disk is full"), id="store"),
        pytest.param(RuntimeError("a fault of ours"), id="our-fault"),
    ],
)
async def test_a_call_that_is_not_taken(serve_media: ServeMedia, refusal: Exception) -> None:
    """It is hung up on; the next one is taken."""
    server = await serve_media(auth="off")
    server.taker.refusal = refusal
    async with connected(server) as asterisk:
        asterisk.say(NAMED, AUDIO)
        assert await asterisk.rest() == [HANG_UP]
    server.taker.refusal = None
    async with connected(server) as asterisk:
        asterisk.say(NAMED, AUDIO)
        await server.taker.next_call(ended=False)


@pytest.mark.parametrize(
    ("said", "deadline_s"),
    [
        pytest.param([], 10, id="no-uuid"),
        pytest.param([NAMED], 10, id="no-audio"),
        pytest.param([NAMED, AUDIO], 30, id="idle"),
    ],
)
async def test_deadlines(serve_media: ServeMedia, said: list[bytes], deadline_s: int) -> None:
    """A connection that never becomes a call, or goes quiet, is hung up on; our own silence is no sign of life."""
    clock = VirtualClock()
    server = await serve_media(auth="off", clock=clock, start_timeout_s=10, idle_timeout_s=30)
    before = counted(MEDIA_ERRORS, "audiosocket", "carrier_silent")
    async with connected(server) as asterisk:
        asterisk.say(*said)
        assert await asterisk.next()
        if deadline_s == 30:
            heard = await server.taker.next_call(ended=False)
            await heard.heard(1)
        while clock.sleeping < 2:  # the deadline, and the silence
            await clock.settle()
        await clock.advance(deadline_s + 0.1)
        asterisk.writer.write_eof()
        assert await asterisk.rest() == [HANG_UP]
        if deadline_s == 30:
            await asyncio.wait_for(heard.ended.wait(), 5)
            assert heard.stop_reasons == ["idle"]
    assert counted(MEDIA_ERRORS, "audiosocket", "carrier_silent") == before + 1


async def test_a_shutdown(serve_media: ServeMedia) -> None:
    """Calls in progress are hung up on and end as drained, with all that came before."""
    server = await serve_media(auth="off")
    async with connected(server) as asterisk:
        asterisk.say(NAMED, AUDIO, AUDIO)
        heard = await server.taker.next_call(ended=False)
        await heard.heard(2)
        leaving = asyncio.create_task(media.leave(server.app))
        assert await asterisk.rest() == [HANG_UP]
        asterisk.writer.close()
        await leaving
    await asyncio.wait_for(heard.ended.wait(), 5)
    assert heard.stop_reasons == ["drained"]
    assert len(heard.chunks(Leg.CALLER)) == 2


@pytest.mark.parametrize("torn", [b"", AUDIO[:100]], ids=["between-packets", "in-a-packet"])
async def test_a_line_that_breaks_off(serve_media: ServeMedia, torn: bytes) -> None:
    """Asterisk hangs up by closing; a connection that ends inside a packet has broken, and may come back."""
    server = await serve_media(auth="off")
    async with connected(server) as asterisk:
        asterisk.say(NAMED, AUDIO, torn)
    heard = await server.taker.next_call()
    assert [(item.reason, item.broken) for item in heard.items if isinstance(item, StreamStopped)] == [
        ("closed", bool(torn))
    ]
    assert len(heard.chunks(Leg.CALLER)) == 1


NOT_ON_A_CONNECTION = {"broken-text", "broken-length", "broken-header", "broken-http"}
"""There, a packet that is too short has not come to its end."""


@pytest.mark.parametrize(
    "file",
    [file for file in recordings(broken=True, dialect="audiosocket") if file.stem not in NOT_ON_A_CONNECTION],
    ids=name,
)
async def test_a_broken_conversation(serve_media: ServeMedia, file: Path) -> None:
    """The call alone ends, is hung up on and counted by its fault; what was heard before stays; another call goes on."""
    server = await serve_media(auth="off")
    heading, messages = read(file)
    before = counted(MEDIA_ERRORS, "audiosocket", heading["fault"])
    async with connected(server) as bystander, connected(server) as asterisk:
        asterisk.say(*messages)
        assert await asterisk.rest() == [HANG_UP]
        bystander.say(NAMED, AUDIO)
        calls = [await server.taker.next_call(ended=False) for _ in range(server.taker.taken.qsize() + 1)]
    assert counted(MEDIA_ERRORS, "audiosocket", heading["fault"]) == before + 1
    assert calls[-1].fault is None
    for call in calls[:-1]:
        assert isinstance(call.fault, BridgeError)
        assert call.fault.code == heading["fault"]
