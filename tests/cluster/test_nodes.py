"""Several real servers on PostgreSQL and Redis with one spool folder, and a call that outlives the one that had it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import numpy as np
import pytest

from bridge.carrier.audio import EncodedAudio, encode
from bridge.carrier.place import CallReport, place_call
from bridge.carrier.side import Dialled
from bridge.carrier.twilio import TwilioSide
from bridge.clock import SystemClock
from bridge.errors import CallRefusedError
from tests.chaos.server import Mortal
from tests.cluster.line import Line
from tests.cluster.node import LEASE_S
from tests.live import REDIS, redis_prefix
from tests.receiver import SECRET, Receiver, receiving
from tests.tones import SCRIPT, recording

WHOLE: Final = "CLUSTER" in os.environ
"""`make cluster-test`: three servers and eight calls; otherwise as few as show it."""
CALLS: Final = 8 if WHOLE else 2
SUBSCRIBERS: Final = int(os.environ.get("SUBSCRIBERS", "100"))
KILLED_AFTER_S: Final = 5.0
TAKEN_UP_WITHIN_S: Final = 4 * LEASE_S + 5.0
"""The lease, a look, and the rest of eight calls heard on a machine that has other work."""
UNSAFE_MS: Final = 350
"""What may not have reached the disk; see the chaos tests."""
PATIENCE_S: Final = 60.0
NUMBERS: Final = count(1)


@dataclass
class Nodes:
    """Servers side by side; `database` is the line that all of them have to PostgreSQL."""

    servers: list[Mortal]
    receiver: Receiver
    database: Line
    events: Line
    placed: dict[str, CallReport] = field(default_factory=dict)
    placing: list[asyncio.Task[None]] = field(default_factory=list)

    def place(self, server: Mortal, audio: EncodedAudio) -> str:
        """A call begins, and goes on at the pace of speech."""
        call_id = f"call-{next(NUMBERS)}"
        report = self.placed[call_id] = CallReport(audio)
        self.placing.append(asyncio.create_task(_place(server, report, call_id)))
        return call_id

    def sent_ms(self, call_id: str) -> int:
        report = self.placed[call_id]
        return int(np.count_nonzero(~np.isnan(report.sent))) * report.audio.frame_ms

    async def webhooks(self, call_id: str) -> list[dict[str, Any]]:
        """The call's deliveries, once there is one."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found = [seen for seen in self.receiver.seen if seen.message["data"]["call_id"] == call_id]
                if found:
                    return [seen.message["data"] | {"webhook_id": seen.id} for seen in found]
                await asyncio.sleep(0.05)


async def _place(server: Mortal, report: CallReport, call_id: str) -> None:
    side = TwilioSide(Dialled(legs=report.audio.legs, parameters={"call_id": call_id}))
    url = f"{server.url.replace('http', 'ws')}/v1/media/twilio"
    with contextlib.suppress(CallRefusedError, ConnectionError):
        await place_call(url, report.audio, side, clock=SystemClock(), report=report)


async def follow(server: Mortal, call_id: str) -> list[dict[str, Any]]:
    """All events of a call as a subscriber of this server sees them, from as soon as it exists. It comes back when it
    is cut: where Redis and the database are both away, nobody can tell it anything.
    """
    url = f"{server.url}/v1/calls/{call_id}"
    await begun(server, call_id)
    async with asyncio.timeout(PATIENCE_S), aiohttp.ClientSession() as session:
        seen: list[dict[str, Any]] = []
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.ws_connect(f"{url}/live?after={len(seen)}") as socket:
                    seen += [message.json() | {"seen": time.monotonic()} async for message in socket]
                    if socket.close_code == aiohttp.WSCloseCode.OK:
                        return seen
            await asyncio.sleep(0.2)


def words(events: list[dict[str, Any]]) -> list[str]:
    return [word["word"] for event in events if event["type"] == "transcript.final" for word in event["words"]]


def said_by(until_ms: int) -> set[str]:
    return {spoken.word for _, words in SCRIPT for spoken in words if spoken.end_ms < until_ms}


@pytest.fixture
async def nodes(postgres_url: str, tmp_path: Path) -> AsyncIterator[Nodes]:
    """Servers, each ready for calls."""
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(redis_prefix("callbridge"))
        receiver = await stack.enter_async_context(receiving(SystemClock()))
        lines = []
        for url, usual in ((postgres_url, 5432), (REDIS, 6379)):
            at = urlsplit(url)
            lines.append(await Line(at.hostname or "", at.port or usual).mend())
            stack.push_async_callback(lines[-1].cut)
        database, events = lines
        user = urlsplit(postgres_url).netloc.rpartition("@")[0]
        settings = {
            "CALLBRIDGE_DATABASE_URL": f"postgresql://{user}@127.0.0.1:{database.port}{urlsplit(postgres_url).path}",
            "CALLBRIDGE_EVENTS_URL": f"redis://127.0.0.1:{events.port}{urlsplit(REDIS).path}",
            "CALLBRIDGE_SPOOL_DIR": str(tmp_path / "spool"),
            "CALLBRIDGE_SECRET_KEY": "one key for all of them",
            "CALLBRIDGE_WEBHOOK_URL": receiver.url,
            "CALLBRIDGE_WEBHOOK_SECRET": SECRET,
            "CALLBRIDGE_ALLOW_PRIVATE_URLS": "127.0.0.1",
            "CALLBRIDGE_LANGUAGE": "en",
            "CALLBRIDGE_MAX_CALLS": "20",
            "CALLBRIDGE_TENANT_MAX_READERS": "5000",
            "CALLBRIDGE_REQUESTS_PER_MINUTE": "0",
        }
        servers = []
        for name in "abc" if WHOLE else "ab":
            folder = tmp_path / name
            folder.mkdir()
            servers.append(Mortal(folder, settings, command=("-m", "tests.cluster.node")))
        try:
            await asyncio.gather(*(server.start() for server in servers))
            nodes = Nodes(servers, receiver, database, events)
            yield nodes
        finally:
            for server in servers:
                server.signal(signal.SIGKILL)
                await server.gone()
        await asyncio.gather(*nodes.placing)


@pytest.fixture(scope="module")
def audio() -> EncodedAudio:
    return encode(recording(), TwilioSide.media_format, frame_ms=20)


async def test_a_server_is_killed_in_the_middle_of_its_calls(nodes: Nodes, audio: EncodedAudio) -> None:
    """Others end each truly and once, soon, with all it said; who followed it at another server misses nothing; and
    each customer gets one webhook.
    """
    a, b, c = nodes.servers[0], nodes.servers[1], nodes.servers[-1]
    calls = [nodes.place(a, audio) for _ in range(CALLS)]
    following = [asyncio.create_task(follow(server, call)) for call in calls for server in (b, c)]
    await asyncio.sleep(KILLED_AFTER_S)
    a.signal(signal.SIGKILL)
    killed_at = time.monotonic()
    seen = await asyncio.gather(*following)
    for call, (first, second) in zip(calls, zip(seen[::2], seen[1::2], strict=True), strict=True):
        assert [event["seq"] for event in first] == list(range(1, len(first) + 1))
        assert [event["id"] for event in first] == [event["id"] for event in second]
        ends = [event for event in first if event["type"] == "call.ended"]
        assert [end["reason"] for end in ends] == ["recovered"]
        assert ends[0]["seen"] - killed_at < TAKEN_UP_WITHIN_S
        heard = words(first)
        assert len(heard) == len(set(heard)), "no final is doubled"
        assert set(heard) >= said_by(nodes.sent_ms(call) - UNSAFE_MS), "and none is lost"
        assert len({told["webhook_id"] for told in await nodes.webhooks(call)}) == 1
        assert await b.get(f"/v1/calls/{call}") == await c.get(f"/v1/calls/{call}")
    assert await asyncio.to_thread(_spooled, nodes) == []


def _spooled(nodes: Nodes) -> list[str]:
    spool = Path(nodes.servers[0].settings["CALLBRIDGE_SPOOL_DIR"])
    return [path.name for path in spool.rglob("*") if path.is_file()]


@pytest.mark.skipif(not WHOLE, reason="takes half a minute: `make cluster-test` runs it")
async def test_what_all_share_goes_away_in_the_middle_of_calls(nodes: Nodes, audio: EncodedAudio) -> None:
    """PostgreSQL and Redis are gone for longer than a lease: nobody takes a living server's call, and nothing is lost."""
    a, b = nodes.servers[:2]
    call = nodes.place(a, audio)
    following = asyncio.create_task(follow(b, call))
    await asyncio.sleep(3)
    await nodes.events.cut()
    await nodes.database.cut()
    await asyncio.sleep(2 * LEASE_S)
    await nodes.database.mend()
    await nodes.events.mend()
    await asyncio.gather(*nodes.placing)
    [told] = await nodes.webhooks(call)
    assert told["reason"] == "hangup"
    events = await a.events(call)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert sorted(words(events)) == sorted(said_by(10**6))
    assert [event["seq"] for event in await following] == list(range(1, len(events) + 1))


@pytest.mark.skipif(not WHOLE, reason="takes half a minute: `make cluster-test` runs it")
async def test_many_subscribers_of_one_call(
    nodes: Nodes, audio: EncodedAudio, record_property: Callable[[str, object], None]
) -> None:
    """Half at its own server, half at another: each sees every event once. How soon is printed: it says as much of the
    machine, which runs all readers, too.
    """
    a, b = nodes.servers[:2]
    call = nodes.place(a, audio)
    await begun(a, call)
    many = [asyncio.create_task(follow(server, call)) for _ in range(SUBSCRIBERS // 2) for server in (a, b)]
    seen = await asyncio.gather(*many)
    events = await a.events(call)
    assert all([event["seq"] for event in one] == list(range(1, len(events) + 1)) for one in seen)
    for name, half in (("own", seen[::2]), ("other", seen[1::2])):
        late = [
            event["seen"] - made
            for one in half
            for event in one
            if event["type"] == "transcript.final" and (made := _made(event)) > one[0]["seen"]
        ]
        p50, p95 = np.percentile(late, [50, 95]) * 1000
        record_property(f"{name}_p95_ms", p95)
        print(f"{len(half)} subscribers of {name} server: finals seen after {p50:.0f} ms p50, {p95:.0f} ms p95")  # noqa: T201


def _made(event: dict[str, Any]) -> float:
    """On the monotonic clock of this machine."""
    wall = datetime.fromisoformat(event["time"]).timestamp()
    return wall - time.time() + time.monotonic()


async def begun(server: Mortal, call_id: str) -> None:
    """Returns once the call is there."""
    async with asyncio.timeout(PATIENCE_S), aiohttp.ClientSession() as session:
        while (await session.get(f"{server.url}/v1/calls/{call_id}")).status == 404:  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(0.05)
