"""Bad input on a media socket: each fault ends its own call by name, is counted, and loses nothing already heard."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from bridge.dialects import DIALECTS
from bridge.metrics import MEDIA_ERRORS
from bridge.model.stream import Leg, StreamStopped
from bridge.web import media
from tests.calling import counted, dialled, say
from tests.media_server import ServeMedia
from tests.wire import WIRE, name, read, recordings


@pytest.mark.parametrize("file", recordings(broken=True, dialect="twilio"), ids=name)
async def test_a_broken_conversation(serve_media: ServeMedia, file: Path) -> None:
    """The call alone ends, by code and name, and is counted; what was heard before stays; another call goes on."""
    server = await serve_media(auth="off")
    heading, messages = read(file)
    before = counted(MEDIA_ERRORS, "twilio", heading["fault"])
    async with dialled(server.twilio) as bystander:
        _, good = read(WIRE / "twilio" / "both-tracks.jsonl")
        await say(bystander, good[:5])
        async with dialled(server.twilio) as socket:
            await say(socket, messages)
            closed = await asyncio.wait_for(socket.receive(), 5)
        await say(bystander, good[5:])
    assert closed.type is aiohttp.WSMsgType.CLOSE
    assert closed.data == (1003 if heading["fault"] == "unsupported_media" else 1002)
    assert closed.extra.startswith(f"{heading['fault']}: ")
    assert counted(MEDIA_ERRORS, "twilio", heading["fault"]) == before + 1
    calls = [await server.taker.next_call() for _ in range(server.taker.taken.qsize())]
    assert calls[0].stop_reasons == ["hangup"]
    assert len(calls[0].chunks(Leg.CALLER)) == 5
    for call in calls[1:]:
        assert call.fault is not None
        assert call.fault.code == heading["fault"]
        said = sum('"media"' in message for message in messages[:-1])
        assert len(call.items) == said + sum('"stop"' in message for message in messages[:-1])


@pytest.mark.parametrize(
    ("message", "close_code"),
    [
        pytest.param("x" * (media.MAX_MESSAGE + 1), 1009, id="too-large"),
        pytest.param(b"\x81\x82\x00\x00\x00\x00\xc3\x28", 1007, id="not-utf8"),
        pytest.param(b"\x83\x80\x00\x00\x00\x00", 1002, id="no-websocket-frame"),
    ],
)
async def test_what_no_websocket_may_send(serve_media: ServeMedia, message: str | bytes, close_code: int) -> None:
    """A message over the limit, or against RFC 6455, ends the call as the carrier's fault; what was heard stays."""
    server = await serve_media(auth="off")
    before = counted(MEDIA_ERRORS, "twilio", "carrier_protocol")
    _, good = read(WIRE / "twilio" / "hang-up-without-stop.jsonl")
    async with dialled(server.twilio) as socket:
        await say(socket, good)
        if isinstance(message, bytes):
            socket.get_extra_info("socket")._sock.send(message)
        else:
            await socket.send_str(message)
        closed = await asyncio.wait_for(socket.receive(), 5)
    assert closed.data == close_code
    heard = await server.taker.next_call()
    assert heard.fault is not None
    assert heard.fault.code == "carrier_protocol"
    assert len(heard.chunks(Leg.CALLER)) == 2
    assert counted(MEDIA_ERRORS, "twilio", "carrier_protocol") == before + 1


async def test_a_close_code_of_the_carriers_own(serve_media: ServeMedia) -> None:
    """Asterisk closes with the channel's hang-up cause, which is no code of RFC 6455: a call that ends, not a fault."""
    server = await serve_media(auth="off")
    _, messages = read(WIRE / "asterisk" / "words.jsonl")
    async with dialled(server.address(DIALECTS["asterisk"])) as socket:
        await say(socket, messages)
        await socket.close(code=16)
    heard = await server.taker.next_call()
    assert heard.fault is None
    assert heard.items[-1] == StreamStopped(reason="closed", broken=False)
    assert len(heard.chunks(Leg.CALLER)) == 3


@pytest.mark.parametrize("size", [0, 1, 65536])
async def test_frames_of_any_size(serve_media: ServeMedia, size: int) -> None:
    """No audio, one sample, eight seconds: all are frames."""
    server = await serve_media(auth="off")
    _, [connected, start, *_] = read(WIRE / "twilio" / "hang-up-without-stop.jsonl")
    payload = base64.b64encode(b"\xff" * size).decode()
    frame = json.dumps({"event": "media", "media": {"track": "inbound", "payload": payload}})
    async with dialled(server.twilio) as socket:
        await say(socket, [connected, start, frame])
    heard = await server.taker.next_call()
    assert [len(chunk.payload) for chunk in heard.chunks(Leg.CALLER)] == [size]


@pytest.mark.parametrize("way", ["deflated", "in-pieces"])
async def test_what_a_websocket_may_do(serve_media: ServeMedia, way: str) -> None:
    """Compressed messages, and ones sent in pieces with a ping between them, are messages like any other."""
    server = await serve_media(auth="off")
    _, messages = read(WIRE / "twilio" / "both-tracks.jsonl")
    async with dialled(server.twilio, compress=15 if way == "deflated" else 0) as socket:
        assert bool(socket.compress) == (way == "deflated")
        if way == "in-pieces":
            wire = socket.get_extra_info("socket")._sock
            for message in messages:
                wire.send(b"".join(_in_pieces(message.encode())))
        else:
            await say(socket, messages)
    heard = await server.taker.next_call()
    assert [len(heard.chunks(leg)) for leg in (Leg.CALLER, Leg.AGENT)] == [5, 2]
    assert heard.stop_reasons == ["hangup"]


def _in_pieces(message: bytes) -> Iterator[bytes]:
    """RFC 6455 frames of up to 100 bytes, masked with zeros."""
    pieces = [message[at : at + 100] for at in range(0, len(message), 100)]
    for number, piece in enumerate(pieces):
        last = 0x80 if number == len(pieces) - 1 else 0
        yield bytes([last | (0 if number else 1), 0x80 | len(piece)]) + bytes(4) + piece
        yield bytes([0x89, 0x80]) + bytes(4) if not last else b""
