"""Redis killed, PostgreSQL started again, each in the middle of calls on two servers."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Final

import pytest

from bridge.carrier.audio import EncodedAudio
from tests.cluster.nodes import WHOLE, follow, running, said_by, words
from tests.cluster.services import own_postgres, own_redis

pytestmark = pytest.mark.skipif(not WHOLE, reason="takes a minute: `make cluster-test` runs it")

CALLS: Final = 8
STOPPED_AFTER_S: Final = 5.0
AWAY_S: Final = 2.0


@pytest.mark.parametrize(
    ("lost", "how"), [("redis", signal.SIGKILL), ("postgres", signal.SIGINT), ("postgres", signal.SIGQUIT)]
)
async def test_a_service_goes_in_the_middle_of_calls(
    tmp_path: Path, audio: EncodedAudio, lost: str, how: signal.Signals
) -> None:
    """Killed, stopped (PostgreSQL's fast shutdown) or torn off (its immediate one), and started again, a Redis without
    all that it had: each call ends as its carrier ended it, with every word once for whoever follows it anywhere, and
    one webhook.
    """
    async with own_postgres() as postgres, own_redis() as redis:
        database = f"postgresql://postgres@127.0.0.1:{postgres.port}/postgres"
        async with running(tmp_path, count=2, database=database, events=f"redis://127.0.0.1:{redis.port}/0") as nodes:
            calls = [nodes.place(nodes.servers[number % 2], audio) for number in range(CALLS)]
            following = [asyncio.create_task(follow(server, call)) for call in calls for server in nodes.servers]
            await asyncio.sleep(STOPPED_AFTER_S)
            service = {"redis": redis, "postgres": postgres}[lost]
            await service.stop(how)
            await asyncio.sleep(AWAY_S)
            await service.start()
            seen = await asyncio.gather(*following)
            for call, first, second in zip(calls, seen[::2], seen[1::2], strict=True):
                assert [event["seq"] for event in first] == list(range(1, len(first) + 1))
                assert [event["id"] for event in first] == [event["id"] for event in second]
                assert [event["reason"] for event in first if event["type"] == "call.ended"] == ["hangup"]
                assert sorted(words(first)) == sorted(said_by(10**6))
                assert len({told["webhook_id"] for told in await nodes.webhooks(call)}) == 1
            assert len(nodes.receiver.seen) == CALLS
