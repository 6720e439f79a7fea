"""The recogniser on a real Ray cluster of this machine: two replicas with the real model, one of which is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from itertools import cycle
from types import SimpleNamespace
from typing import Final

import numpy as np
import pytest
import pytest_asyncio

from bridge.clock import SystemClock
from bridge.errors import EngineError
from bridge.model.frame import Samples, from_ms
from bridge.model.stream import Leg
from bridge.ports import Decoded, DecodeJob, Engine, Urgency
from bridge.recognise import remote as remote_module
from bridge.recognise.local import open_engine
from bridge.recordings.file import look
from bridge.samples import TWO_PARTY
from bridge.settings import Settings
from tests.cluster.nodes import WHOLE
from tests.cluster.ray_cluster import RayCluster, cpu_s, descendants, engine_of, ray_cluster

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(not WHOLE, reason="takes minutes: `make cluster-test` runs it"),
    pytest.mark.asyncio(loop_scope="module"),
]

GREETING_MS: Final = (500, 3600)
JOBS: Final = 10
TURNS: Final = 40
WARM: Final = 4
"""Turns that are not counted: both replicas have decoded by then."""
BUSY: Final = 40
SIDE_BY_SIDE: Final = 4
"""So many decodes, so many at a time: more than there are workers, as when calls keep them busy."""
ROUNDS: Final = 3
AT_REST_S: Final = 5.0
AT_ONCE_S: Final = 20.0
"""Less than it would be asked again for."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster() -> AsyncIterator[RayCluster]:
    async with ray_cluster() as running_cluster:
        yield running_cluster


async def greeting() -> Samples:
    block = await asyncio.to_thread(lambda: next(look(TWO_PARTY).blocks()))
    return block[Leg.AGENT][slice(*map(from_ms, GREETING_MS))]


async def decode(engine: Engine, samples: Samples, urgency: Urgency = Urgency.FINAL) -> Decoded | None:
    now = SystemClock().monotonic()
    return await engine.decode(DecodeJob(samples=samples, urgency=urgency, deadline=now + 1, language="en"))


async def test_what_the_way_there_and_back_costs(
    cluster: RayCluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One decode after another, here and there in turn: the same words. How long it takes, how much of that is the way,
    and what all processes work for it, is printed, with what they work while nobody asks. First of these tests: a
    replica that takes a killed one's place works for itself.
    """
    ways: list[float] = []
    monkeypatch.setattr(remote_module, "ENGINE_OVERHEAD", SimpleNamespace(observe=ways.append))
    processes = list(descendants(cluster.pid))
    at_rest = cpu_s(processes)
    await asyncio.sleep(AT_REST_S)
    at_rest = (cpu_s(processes) - at_rest) / AT_REST_S
    samples = await greeting()
    local = await asyncio.to_thread(open_engine, Settings(), SystemClock(), on_cores=1)
    took: dict[str, list[float]] = {"here": [], "there": []}
    worked: dict[str, list[float]] = {"here": [], "there": []}
    texts = set()
    try:
        async with engine_of(cluster) as remote:
            engines: dict[str, Engine] = {"here": local, "there": remote}
            for _ in range(TURNS):
                for name, engine in engines.items():
                    who = [os.getpid(), *(processes if name == "there" else ())]
                    worked_before, began = cpu_s(who), time.perf_counter()
                    decoded = await decode(engine, samples)
                    took[name].append(time.perf_counter() - began)
                    worked[name].append(cpu_s(who) - worked_before)
                    assert decoded is not None
                    texts.add(decoded.text)
    finally:
        await local.close()
    assert len(texts) == 1
    lines = [f"Ray at rest: {at_rest:.3f} cores"]
    for name in engines:
        p50, cpu = np.median(took[name][WARM:]) * 1000, np.mean(worked[name][WARM:]) * 1000
        lines.append(f"a decode {name}: {p50:.0f} ms p50, {cpu:.0f} ms of a core on average")
    p50, p95 = np.percentile(ways[WARM:], [50, 95]) * 1000
    lines.append(f"the way there and back: {p50:.1f} ms p50, {p95:.1f} ms p95")
    with capsys.disabled():
        print("", *lines, sep="\n")  # noqa: T201  # what it is run for


async def keep_busy(engine: Engine, samples: Samples) -> None:
    places = asyncio.Semaphore(SIDE_BY_SIDE)

    async def one() -> None:
        async with places:
            assert await decode(engine, samples) is not None

    await asyncio.gather(*(one() for _ in range(BUSY)))


class Apart:
    """Two engines of one worker each, asked in turn, as replicas are."""

    def __init__(self) -> None:
        self._engines = [open_engine(Settings(), SystemClock(), on_cores=1) for _ in range(2)]
        self._next = cycle(self._engines)

    async def decode(self, job: DecodeJob) -> Decoded | None:
        return await next(self._next).decode(job)

    def pressure(self) -> float:
        return max(engine.pressure() for engine in self._engines)

    async def close(self) -> None:
        for engine in self._engines:
            await engine.close()


async def test_what_busy_workers_cost(cluster: RayCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """Two workers of one engine, two engines of one worker, and two replicas, kept busy in turn: what all processes
    work for a decode is printed. Engines apart decode less together; what Ray works at rest is shared by all decodes of
    that time.
    """
    processes = list(descendants(cluster.pid))
    samples = await greeting()
    local = await asyncio.to_thread(open_engine, Settings(), SystemClock(), on_cores=2)
    apart = await asyncio.to_thread(Apart)
    worked: dict[str, list[float]] = {"here": [], "here, apart": [], "there": []}
    try:
        async with engine_of(cluster) as remote:
            engines: dict[str, Engine] = {"here": local, "here, apart": apart, "there": remote}
            for name, engine in [*engines.items()] * (1 + ROUNDS):
                who = [os.getpid(), *(processes if name == "there" else ())]
                before = cpu_s(who)
                await keep_busy(engine, samples)
                worked[name].append((cpu_s(who) - before) / BUSY)
    finally:
        await local.close()
        await apart.close()
    told = ", ".join(f"{name} {1000 * float(np.mean(worked[name][1:])):.0f}" for name in engines)
    with capsys.disabled():
        print(f"\nbusy, ms of a core for a decode: {told}")  # noqa: T201  # what it is run for


async def test_a_replica_is_killed_in_the_middle_of_its_decodes(cluster: RayCluster) -> None:
    """Both replicas decode; every final that was under way is answered all the same, with the words that were said."""
    async with engine_of(cluster) as remote:
        samples = await greeting()
        once = await decode(remote, samples)
        assert once is not None
        assert "good morning" in once.text.lower()
        decoding = [asyncio.create_task(decode(remote, samples)) for _ in range(JOBS)]
        await asyncio.sleep(0.5)
        replicas = cluster.replicas()
        assert len(replicas) == 2
        os.kill(replicas[0], signal.SIGKILL)
        found = await asyncio.gather(*decoding)
        assert [decoded.text for decoded in found if decoded is not None] == [once.text] * JOBS
        assert remote.fault is None


async def test_what_cannot_be_decoded_is_said(cluster: RayCluster) -> None:
    """A replica's fault comes back as ours, at once."""
    job = DecodeJob(samples=await greeting(), urgency=Urgency.FINAL, deadline=0.0, language="nonsense")
    async with engine_of(cluster) as remote:
        async with asyncio.timeout(AT_ONCE_S):
            with pytest.raises(EngineError, match="nonsense"):
                await remote.decode(job)
