"""Media sockets spoken to by another implementation of WebSockets: fragments, permessage-deflate, pings, odd closes."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from bridge.carrier.audio import CallAudio
from bridge.carrier.side import Dialled, Message, conversation, encode_for
from bridge.dialects import DIALECTS, Dialect, Frames
from bridge.metrics import MEDIA_ERRORS
from bridge.model.stream import Leg, StreamStopped
from bridge.web.media import MAX_MESSAGE
from tests.calling import counted
from tests.media_server import ServeMedia
from tests.wire import WIRE, read

BOTH = (Leg.CALLER, Leg.AGENT)
SPOKEN = [dialect for dialect in DIALECTS.values() if dialect.frames is not Frames.TCP]
NOTE = "two tables & a lämp – ä"
"""What is cut in the middle of a character."""


def fragments(message: Message, sizes: Iterator[int]) -> list[bytes]:
    """A message in pieces, some of them empty, cut wherever it falls."""
    data = json.dumps(json.loads(message), ensure_ascii=False).encode() if isinstance(message, str) else message
    pieces, at = [b""], 0
    while at < len(data):
        size = next(sizes)
        pieces.append(data[at : at + size])
        at += size
    return pieces


@pytest.mark.parametrize("deflate", ["deflate", None], ids=["deflate", "plain"])
@pytest.mark.parametrize("dialect", SPOKEN, ids=[dialect.name for dialect in SPOKEN])
async def test_a_call_in_fragments(serve_media: ServeMedia, dialect: Dialect, deflate: Any) -> None:
    """However messages are cut and squeezed, with pings among them, the same is heard as of whole ones."""
    server = await serve_media(auth="off")
    side = dialect.speak(Dialled(legs=BOTH, parameters={"metadata.note": NOTE}))
    ramp = np.arange(8000, dtype=np.int16)
    audio = encode_for(side, CallAudio({Leg.CALLER: ramp, Leg.AGENT: -ramp}, 8000))
    sizes = itertools.cycle([1, 2, 125, 126, 3, 1000, 0, 7])
    address = server.address(dialect)
    headers = dict(side.headers(address))
    async with connect(
        address,
        compression=deflate,
        subprotocols=dialect.subprotocols or None,
        additional_headers=headers,
        proxy=None,
    ) as socket:
        assert [extension.name for extension in socket.protocol.extensions] == (
            ["permessage-deflate"] if deflate else []
        )
        for number, timed in enumerate(conversation(side, audio)):
            await socket.send(fragments(timed.message, sizes), text=isinstance(timed.message, str))
            if number % 20 == 0:
                await (await socket.ping())
        await socket.close()
    heard = await server.taker.next_call()
    assert heard.fault is None
    assert heard.started.parameters == {"metadata.note": NOTE}
    for leg in side.legs:
        sent = b"".join(frame[leg] for frame in audio.frames)
        assert b"".join(chunk.payload for chunk in heard.chunks(leg)) == sent
    assert len(heard.stop_reasons) == 1


@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4999])
async def test_odd_close_codes(serve_media: ServeMedia, code: int) -> None:
    """Whatever a carrier closes with, it has closed: the call is over, and does not wait for it to come back."""
    server = await serve_media(auth="off")
    _, messages = read(WIRE / "twilio" / "hang-up-without-stop.jsonl")
    async with connect(server.twilio, proxy=None) as socket:
        for message in messages:
            await socket.send(message)
        await socket.close(code=code, reason="cause 16 – normal")
    heard = await server.taker.next_call()
    assert [(item.reason, item.broken) for item in heard.items if isinstance(item, StreamStopped)] == [
        ("closed", False)
    ]
    assert len(heard.chunks(Leg.CALLER)) == 2


async def test_a_message_that_swells(serve_media: ServeMedia) -> None:
    """One that is small on the wire and beyond the limit once inflated is refused; what was heard stays."""
    server = await serve_media(auth="off")
    before = counted(MEDIA_ERRORS, "twilio", "carrier_protocol")
    _, messages = read(WIRE / "twilio" / "hang-up-without-stop.jsonl")
    async with connect(server.twilio, proxy=None) as socket:
        for message in messages:
            await socket.send(message)
        await socket.send("x" * (32 * MAX_MESSAGE))
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009
    heard = await server.taker.next_call()
    assert heard.fault is not None
    assert len(heard.chunks(Leg.CALLER)) == 2
    assert counted(MEDIA_ERRORS, "twilio", "carrier_protocol") == before + 1
