"""Several real servers on PostgreSQL and Redis with one spool folder, and a call that outlives the one that had it."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path
from typing import Final

import pytest

from bridge.carrier.audio import EncodedAudio
from tests.cluster.nodes import LEASE_S, WHOLE, Nodes, follow, said_by, words

CALLS: Final = 8 if WHOLE else 2
KILLED_AFTER_S: Final = 5.0 if WHOLE else 3.0
"""In the middle of a sentence, with others told."""
TAKEN_UP_WITHIN_S: Final = 15.0
"""From the kill to the end of each call: the lease, a look, and what eight calls had said that was not told yet."""
UNSAFE_MS: Final = 350
"""What may not have reached the disk; see the chaos tests."""


@pytest.mark.parametrize("nodes", [None if WHOLE else LEASE_S], indirect=True, ids=["lease"])
async def test_a_server_is_killed_in_the_middle_of_its_calls(
    nodes: Nodes, audio: EncodedAudio, capsys: pytest.CaptureFixture[str]
) -> None:
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
    took_s: list[float] = []
    for call, (first, second) in zip(calls, zip(seen[::2], seen[1::2], strict=True), strict=True):
        assert [event["seq"] for event in first] == list(range(1, len(first) + 1))
        assert [event["id"] for event in first] == [event["id"] for event in second]
        ends = [event for event in first if event["type"] == "call.ended"]
        assert [end["reason"] for end in ends] == ["recovered"]
        took_s.append(ends[0]["seen"] - killed_at)
        heard = words(first)
        assert len(heard) == len(set(heard)), "no final is doubled"
        assert set(heard) >= said_by(nodes.sent_ms(call) - UNSAFE_MS), "and none is lost"
        assert len({told["webhook_id"] for told in await nodes.webhooks(call)}) == 1
        assert await b.get(f"/v1/calls/{call}") == await c.get(f"/v1/calls/{call}")
    assert await asyncio.to_thread(_spooled, nodes) == []
    if WHOLE:
        with capsys.disabled():
            print(f"\nthe calls of a killed server ended {min(took_s):.1f} to {max(took_s):.1f} s later")  # noqa: T201  # what it is run for
    assert max(took_s) < TAKEN_UP_WITHIN_S


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
