"""Many live calls at once against a running server: real sockets, real time, every event as a subscriber gets it."""

from __future__ import annotations

import asyncio
import json
import math
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Self

import aiohttp

from bridge.bench.calls import BenchCall
from bridge.bench.measure import Figures, Seen, measure
from bridge.carrier.audio import encode
from bridge.carrier.place import CallReport, Manner, place_call
from bridge.carrier.side import Dialled
from bridge.dialects import DIALECTS
from bridge.errors import CallRefusedError
from bridge.ports import Clock

SPREAD_S: Final = 8.0
"""Calls begin within so long of each other, as calls do."""

SETTLED_WITHIN_S: Final = 150.0

LOOK_EVERY_S: Final = 15.0
"""At the server's memory."""

CPU: Final = "process_cpu_seconds_total"
MEMORY: Final = "process_resident_memory_bytes"
ENGINE: Final = ("callbridge_decode", "callbridge_engine", "callbridge_speculations", "callbridge_naming")
LAG: Final = "callbridge_event_loop_lag_seconds_bucket"


@dataclass(slots=True)
class Load:
    """One run: the figures of its calls, and what the server spent on them."""

    wanted: int
    figures: Figures = field(default_factory=Figures)
    refused: int = 0
    cpu_s: float = 0.0
    """While calls were live."""
    settling_cpu_s: float = 0.0
    """Afterwards, until the last call was settled."""
    memory_mb: float = 0.0
    memory_growth_mb: float = math.nan
    """From halfway through the calls to their end."""
    loop_lag_p99_ms: float = 0.0
    engine: dict[str, float] = field(default_factory=dict)
    """The recogniser's own counts, and those of speakers, while calls were live, by their names in /metrics."""
    behind_s: float = 0.0
    """The most by which this side sent a frame late: above 0.1 the machine is too busy to be a fair carrier."""


class Server:
    """A running server as the bench reaches it."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url.rstrip("/")
        self.headers = {"Authorization": f"Bearer {key}"}
        self.key = key

    def media(self, dialect: str) -> str:
        return f"ws{self.url.removeprefix('http')}{DIALECTS[dialect].path}"


async def run(
    server: Server,
    calls: Sequence[BenchCall],
    clock: Clock,
    *,
    seed: int = 0,
    parameters: Mapping[str, str] = MappingProxyType({}),
) -> Load:
    """Place all `calls` at once, each with `parameters` of its own, and measure them."""
    load = Load(wanted=len(calls))
    names = [f"bench-{seed}-{clock.now():.0f}-{number}" for number in range(len(calls))]
    async with aiohttp.ClientSession(server.url, headers=server.headers) as session:
        before = await _metrics(session)
        async with _Subscriber(session, clock) as subscriber:
            spread_s = min(SPREAD_S, len(calls))
            delays = random.Random(seed)  # noqa: S311  # staggering, not secrets
            async with _MemoryWatch(session, clock) as memory:
                placed = await asyncio.gather(
                    *(
                        _place(server, call, {"call_id": name, **parameters}, clock, delays.uniform(0, spread_s))
                        for call, name in zip(calls, names, strict=True)
                    )
                )
            load.memory_growth_mb = memory.growth_mb
            await subscriber.until_ended({name for name, report in zip(names, placed, strict=True) if report})
            live = await _metrics(session)
            for call, name, report in zip(calls, names, placed, strict=True):
                if report is None:
                    load.refused += 1
                    continue
                settled = await _settled(session, name, clock)
                load.figures.add(measure(call, subscriber.seen[name], settled, report.sent_at))
                load.behind_s = max(load.behind_s, report.behind_s)
        after = await _metrics(session)
    load.engine = {
        name.removeprefix("callbridge_"): value - before.get(name, 0)
        for name, value in live.items()
        if name.startswith(ENGINE) and value != before.get(name, 0)
    }
    load.cpu_s = live[CPU] - before[CPU]
    load.settling_cpu_s = after[CPU] - live[CPU]
    load.memory_mb = after[MEMORY] / 1e6
    load.loop_lag_p99_ms = _lag_p99(before, live) * 1000
    return load


async def _place(
    server: Server, call: BenchCall, parameters: Mapping[str, str], clock: Clock, delay_s: float
) -> CallReport | None:
    dialect = DIALECTS["twilio"]
    legs = tuple(call.audio.legs)
    told = {"language": call.language[:2], **parameters}
    side = dialect.speak(Dialled(legs=legs, parameters=told, token=server.key))
    try:
        return await place_call(
            server.media("twilio"),
            encode(call.audio, side.media_format),
            side,
            clock=clock,
            manner=Manner(delay_s=delay_s),
        )
    except CallRefusedError:
        return None


class _Subscriber:
    """Everything the tenant's feed shows, with the time at which it came."""

    def __init__(self, session: aiohttp.ClientSession, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self.seen: defaultdict[str, list[Seen]] = defaultdict(list)
        self._news = asyncio.Event()
        self._open = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._reading = asyncio.create_task(self._read())
        await self._open.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reading.cancel()
        with suppress(asyncio.CancelledError):
            await self._reading

    async def until_ended(self, names: set[str]) -> None:
        while not all(any(one.type == "call.ended" for one in self.seen[name][-50:]) for name in names):
            self._news.clear()
            await self._news.wait()

    async def _read(self) -> None:
        async with self._session.ws_connect("/v1/events") as socket:
            self._open.set()
            async for message in socket:
                event = json.loads(message.data)
                self.seen[event["call_id"]].append(Seen(self._clock.now(), event))
                if event["type"] == "call.ended":
                    self._news.set()


class _MemoryWatch:
    """The server's memory, from time to time."""

    def __init__(self, session: aiohttp.ClientSession, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._seen_mb: list[float] = []

    @property
    def growth_mb(self) -> float:
        """NaN where there was no time to look."""
        return self._seen_mb[-1] - self._seen_mb[len(self._seen_mb) // 2] if self._seen_mb else math.nan

    async def __aenter__(self) -> Self:
        self._looking = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._looking.cancel()
        with suppress(asyncio.CancelledError):
            await self._looking

    async def _look(self) -> None:
        while True:
            self._seen_mb.append((await _metrics(self._session))[MEMORY] / 1e6)
            await self._clock.sleep(LOOK_EVERY_S)


async def _settled(session: aiohttp.ClientSession, name: str, clock: Clock) -> list[dict[str, Any]]:
    until = clock.monotonic() + SETTLED_WITHIN_S
    while clock.monotonic() < until:
        async with session.get(f"/v1/calls/{name}") as answer:
            if (await answer.json()).get("settled"):
                break
        await clock.sleep(0.5)
    async with session.get(f"/v1/calls/{name}/transcript", params={"format": "json"}) as answer:
        segments: list[dict[str, Any]] = (await answer.json())["segments"]
    return segments


async def _metrics(session: aiohttp.ClientSession) -> dict[str, float]:
    async with session.get("/metrics") as answer:
        text = await answer.text()
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            found[name] = float(value)
    return found


def _lag_p99(before: dict[str, float], after: dict[str, float]) -> float:
    """The bucket of the event-loop lag's histogram that 99 % of this run's wake-ups lie in, in seconds."""
    rows = sorted(
        (float(name.split('le="')[1].rstrip('"}')), value - before.get(name, 0))
        for name, value in after.items()
        if name.startswith(LAG)
    )
    total = rows[-1][1] if rows else 0
    return next((bound for bound, count in rows if total and count >= 0.99 * total), 0.0)
