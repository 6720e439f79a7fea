"""Being a carrier in a test: whole calls, and sockets spoken to by hand."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import aiohttp
import numpy as np

from bridge.carrier.audio import CallAudio, EncodedAudio, encode
from bridge.carrier.place import CallReport, Manner, place_call
from bridge.carrier.side import CarrierSide, Dialled
from bridge.carrier.twilio import TwilioSide
from bridge.clock import SystemClock
from bridge.dialects import Dialect, Frames
from bridge.ingest.audiosocket import HEADER
from bridge.model.stream import Leg
from bridge.ports import Clock

AT_ONCE = Manner(speed=math.inf)


def two_parties(seconds: float, *, frame_ms: int = 20) -> EncodedAudio:
    """Two different ramps, so that legs and order show."""
    ramp = np.arange(int(seconds * 8000), dtype=np.int16)
    return encode(CallAudio({Leg.CALLER: ramp, Leg.AGENT: -ramp}, 8000), TwilioSide.media_format, frame_ms=frame_ms)


async def call(
    url: str,
    audio: EncodedAudio,
    *,
    manner: Manner = AT_ONCE,
    headers: Mapping[str, str] | None = None,
    clock: Clock | None = None,
    **given: Any,
) -> CallReport:
    """A whole call as Twilio places it; `given` are fields of `Dialled`."""
    side = TwilioSide(Dialled(legs=audio.legs, **given))
    return await place_call(url, audio, side, clock=clock or SystemClock(), manner=manner, headers=headers)


def carrier_address(dialect: Dialect, ws_url: str, asterisk: asyncio.Server) -> str:
    """Where a carrier of `dialect` reaches a server: under its WebSocket address, or at its port for Asterisk."""
    if dialect.frames is Frames.TCP:
        return f"tcp://127.0.0.1:{asterisk.sockets[0].getsockname()[1]}"
    return f"{ws_url}{dialect.path}"


async def announce(url: str, side: CarrierSide, parameters: Mapping[str, str], *, key: str) -> None:
    """Tell a server of an AudioSocket call: it carries no parameters, and shows no key."""
    [named] = side.opening()
    known = {name: value for name, value in parameters.items() if not name.startswith("metadata.")}
    metadata = {name.removeprefix("metadata."): value for name, value in parameters.items() if name not in known}
    body = {"uuid": str(UUID(bytes=named[HEADER.size :])), "metadata": metadata, **known}
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        answer = await session.post(f"{url}/v1/audiosocket", json=body)
        assert answer.status == 201, await answer.text()


@asynccontextmanager
async def dialled(url: str, **how: Any) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A carrier's socket; `how` goes to `ws_connect`."""
    async with aiohttp.ClientSession() as session, session.ws_connect(url, **how) as socket:
        yield socket


async def say(socket: aiohttp.ClientWebSocketResponse, messages: Iterable[str | bytes]) -> None:
    for message in messages:
        if isinstance(message, bytes):
            await socket.send_bytes(message)
        else:
            await socket.send_str(message)


def counted(counter: Any, *labels: str) -> float:
    """What a Prometheus counter stands at."""
    return counter.labels(*labels)._value.get()
