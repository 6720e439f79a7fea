"""Calls whose tones a real Ray cluster of this machine reads, while a replica of it dies, or all are replaced."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from bridge.carrier.audio import EncodedAudio
from tests.cluster.nodes import WHOLE, Nodes, follow, running, said_by, words
from tests.cluster.ray_cluster import RayCluster, ray_cluster
from tests.live import REDIS, redis_prefix

pytestmark = [
    pytest.mark.skipif(not WHOLE, reason="takes minutes: `make cluster-test` runs it"),
    pytest.mark.asyncio(loop_scope="module"),
]

CALLS: Final = 8
BEGUN_S: Final = 4.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster() -> AsyncIterator[RayCluster]:
    async with ray_cluster(("-m", "tests.cluster.tone_engine")) as cluster:
        yield cluster


@pytest_asyncio.fixture(loop_scope="module")
async def nodes(postgres_url: str, tmp_path: Path, cluster: RayCluster) -> AsyncIterator[Nodes]:
    """Two servers that know no recogniser but Ray's."""
    settings: dict[str, Any] = {"database": postgres_url, "events": REDIS, "CALLBRIDGE_ENGINE": cluster.address}
    async with redis_prefix("callbridge"), running(tmp_path, count=2, **settings) as nodes:
        yield nodes


async def kill_one(cluster: RayCluster) -> None:
    os.kill(cluster.replicas()[0], signal.SIGKILL)


async def roll(cluster: RayCluster) -> None:
    before = set(cluster.replicas())
    await cluster.deploy()
    assert not before & set(cluster.replicas()), "the version before has gone"


@pytest.mark.parametrize("happen", [kill_one, roll], ids=["a-replica-is-killed", "the-next-version-is-deployed"])
async def test_in_the_middle_of_calls(
    nodes: Nodes,
    audio: EncodedAudio,
    cluster: RayCluster,
    happen: Callable[[RayCluster], Awaitable[None]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each of the calls ends once, as its carrier ended it, with every word once and one webhook."""
    calls = [nodes.place(nodes.servers[number % 2], audio) for number in range(CALLS)]
    following = [asyncio.create_task(follow(nodes.servers[0], call)) for call in calls]
    await asyncio.sleep(BEGUN_S)
    began = time.monotonic()
    await happen(cluster)
    took_s = time.monotonic() - began
    for call, events in zip(calls, await asyncio.gather(*following), strict=True):
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        assert [event["reason"] for event in events if event["type"] == "call.ended"] == ["hangup"]
        assert sorted(words(events)) == sorted(said_by(10**6))
        assert not [event for event in events if event["type"] == "media.gap"]
        assert len({told["webhook_id"] for told in await nodes.webhooks(call)}) == 1
    with capsys.disabled():
        print(f"\n{happen.__name__}: {took_s:.1f} s")  # noqa: T201  # what it is run for
