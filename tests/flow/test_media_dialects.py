"""Every dialect of the table, carrier against server over a real socket: the same call in, the same call heard."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from bridge.carrier.audio import CallAudio
from bridge.carrier.place import Manner, place_call
from bridge.carrier.side import Dialled, encode_for
from bridge.clock import SystemClock
from bridge.dialects import DIALECTS, Proof
from bridge.model.stream import Leg
from tests.calling import announce
from tests.media_server import API_KEY, ServeMedia

PARTIES = pytest.mark.parametrize("legs", [(Leg.CALLER,), (Leg.CALLER, Leg.AGENT)], ids=["caller-alone", "both"])


def speech(legs: tuple[Leg, ...]) -> CallAudio:
    """Two seconds of another tone for each party."""
    time = np.arange(16_000) / 8000
    tones = {leg: (9000 * np.sin(2 * np.pi * 400 * (n + 1) * time)).astype(np.int16) for n, leg in enumerate(legs)}
    return CallAudio(tones, 8000)


@PARTIES
@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
async def test_a_call_in_every_dialect(serve_media: ServeMedia, dialect: Any, legs: tuple[Leg, ...]) -> None:
    """Whose call, which parties, what format, every byte of every party in order: as the carrier sent it."""
    server = await serve_media()
    side = dialect.speak(Dialled(legs=legs, token=API_KEY, parameters={"metadata.queue": "sales"}))
    audio = encode_for(side, speech(legs))
    if Proof.ANNOUNCED in dialect.proofs:
        await announce(server.url, side, {"metadata.queue": "sales"}, key=API_KEY)
    report = await place_call(
        server.address(dialect),
        audio,
        side,
        clock=SystemClock(),
        manner=Manner(speed=math.inf),
        subprotocols=dialect.subprotocols,
    )
    heard = await server.taker.next_call()
    assert report.close_code == 1000
    assert heard.tenant == "acme"
    assert heard.started.carrier == dialect.name
    assert heard.started.legs == side.legs
    assert heard.started.media_format == side.media_format
    assert heard.started.parameters == {"metadata.queue": "sales"}
    for leg in side.legs:
        sent = b"".join(frame[leg] for frame in audio.frames)
        assert b"".join(chunk.payload for chunk in heard.chunks(leg)) == sent
    assert len(heard.stop_reasons) == 1
