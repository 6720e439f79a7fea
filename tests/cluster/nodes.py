"""Servers side by side, the calls that are placed on them, and who follows those."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import numpy as np

from bridge.carrier.audio import EncodedAudio
from bridge.carrier.place import CallReport, place_call
from bridge.carrier.side import Dialled
from bridge.carrier.twilio import TwilioSide
from bridge.clock import SystemClock
from bridge.errors import CallRefusedError
from tests.chaos.server import Mortal
from tests.cluster.line import Line
from tests.receiver import SECRET, Receiver, receiving
from tests.tones import SCRIPT

WHOLE: Final = "CLUSTER" in os.environ
"""`make cluster-test`: three servers and eight calls; otherwise as few as show it."""
LEASE_S: Final = 1.5
"""Of the servers of these tests: others take up their calls soon."""
NODE: Final = ("-m", "tests.cluster.node")
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


@contextlib.asynccontextmanager
async def running(
    folder: Path,
    *,
    database: str,
    events: str,
    count: int = 3 if WHOLE else 2,
    command: Sequence[str] = (*NODE, "--lease", str(LEASE_S)),
    **more: str,
) -> AsyncIterator[Nodes]:
    """`count` servers over one PostgreSQL and one Redis, each ready for calls. `more` are settings."""
    async with contextlib.AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(receiving(SystemClock()))
        lines = []
        for url, usual in ((database, 5432), (events, 6379)):
            at = urlsplit(url)
            lines.append(await Line(at.hostname or "", at.port or usual).mend())
            stack.push_async_callback(lines[-1].cut)
        to_database, to_events = lines
        user = urlsplit(database).netloc.rpartition("@")[0]
        settings = {
            "CALLBRIDGE_DATABASE_URL": f"postgresql://{user}@127.0.0.1:{to_database.port}{urlsplit(database).path}",
            "CALLBRIDGE_EVENTS_URL": f"redis://127.0.0.1:{to_events.port}{urlsplit(events).path}",
            "CALLBRIDGE_SPOOL_DIR": str(folder / "spool"),
            "CALLBRIDGE_SECRET_KEY": "one key for all of them",
            "CALLBRIDGE_WEBHOOK_URL": receiver.url,
            "CALLBRIDGE_WEBHOOK_SECRET": SECRET,
            "CALLBRIDGE_ALLOW_PRIVATE_URLS": "127.0.0.1",
            "CALLBRIDGE_LANGUAGE": "en",
            "CALLBRIDGE_MAX_CALLS": "20",
            "CALLBRIDGE_TENANT_MAX_READERS": "5000",
            "CALLBRIDGE_REQUESTS_PER_MINUTE": "0",
            **more,
        }
        servers = []
        for number in range(count):
            own = folder / f"node-{number}"
            own.mkdir()
            servers.append(Mortal(own, settings, command=command))
        nodes = Nodes(servers, receiver, to_database, to_events)
        try:
            await asyncio.gather(*(server.start() for server in servers))
            yield nodes
        finally:
            for server in servers:
                if server.lives:
                    server.signal(signal.SIGKILL)
                    await server.gone()
        await asyncio.gather(*nodes.placing)


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


async def begun(server: Mortal, call_id: str) -> None:
    """Returns once the call is there."""
    async with asyncio.timeout(PATIENCE_S), aiohttp.ClientSession() as session:
        while (await session.get(f"{server.url}/v1/calls/{call_id}")).status == 404:  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(0.05)
