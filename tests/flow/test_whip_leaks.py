"""Nothing outlives its publisher: many sessions, each ended in another way, and what is left of them."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from aioice import ice

from bridge.ingest import rtp_leg
from tests.media_server import API_KEY, MediaServer, ServeMedia
from tests.whip_client import Publisher, Recording, publisher

SESSIONS = int(os.environ.get("SESSIONS", "10"))
"""`make test` has ten; SESSIONS=200 is the watch of an evening."""

WARM_UP = 4
"""Sessions before the first look: what is loaded and cached once."""

OURS = ("WhipSession", "RtpLine", "RTCDtlsTransport", "Connection", "StunProtocol")
"""What a session is made of, by the names of its classes."""


async def deleted(one: Publisher) -> None:
    assert (await one.ask("DELETE")).status == 200


async def closed(one: Publisher) -> None:
    await one.peer.close()


async def cut(one: Publisher) -> None:
    """No goodbye: the sockets are gone, and the server finds out by itself."""
    transport = one.peer.getTransceivers()[0].receiver.transport.transport
    for protocol in transport._connection._protocols:
        protocol.transport.abort()


ENDS: Sequence[Callable[[Publisher], Awaitable[None]]] = (deleted, closed, cut)


async def one_session(server: MediaServer, end: Callable[[Publisher], Awaitable[None]]) -> None:
    async with publisher(f"{server.url}/v1/whip", token=API_KEY) as one:
        one.send(Recording(np.zeros(4800, np.int16)))
        await one.publish()
        call = await server.taker.next_call(ended=False)
        await call.heard(3)
        await end(one)
        await asyncio.wait_for(call.ended.wait(), 10)


def resident_kib() -> int:
    """Of this process, now."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() // 1024


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def parts() -> Counter[str]:
    """What sessions are made of, alive in this process; other tests may have left some of theirs."""
    return Counter(name for name in (type(each).__name__ for each in gc.get_objects()) if name in OURS)


async def left() -> tuple[int, int]:
    """Tasks and open files, once what was about to end has."""
    for _ in range(100):
        await asyncio.sleep(0)
    gc.collect()
    return len(asyncio.all_tasks()), open_files()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc to count open files in")
async def test_nothing_is_left(serve_media: ServeMedia, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks and files are as many after the last session as before the first; nothing they were made of lives on."""
    monkeypatch.setattr(ice, "get_host_addresses", lambda **_: ["127.0.0.1"])
    monkeypatch.setattr(ice, "CONSENT_INTERVAL", 0.1)
    monkeypatch.setattr(ice, "CONSENT_FAILURES", 1)
    monkeypatch.setattr(rtp_leg, "PATIENCE_MS", 40)  # a session is heard at once, and need not be long
    # A publisher that is cut off complains of it, and pytest would keep every word.
    monkeypatch.setattr(logging.getLogger("aiortc.rtcrtpsender"), "disabled", True)
    server = await serve_media()
    for number in range(WARM_UP):
        await one_session(server, ENDS[number % len(ENDS)])
    before, memory, others = await left(), resident_kib(), parts()
    for number in range(SESSIONS):
        await one_session(server, ENDS[number % len(ENDS)])
    assert await left() == before
    grown = resident_kib() - memory
    print(f"{SESSIONS} sessions: {before[0]} tasks, {before[1]} files, {grown / SESSIONS:.1f} KiB a session")  # noqa: T201
    assert parts() <= others
