"""One call and its many subscribers, on two servers: each sees every event once, and soon.

`SUBSCRIBERS=2000 make cluster-test` measures what docs/scale.md says of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any, Final

import numpy as np
import pytest

from bridge.carrier.audio import CallAudio, encode
from bridge.carrier.twilio import TwilioSide
from tests.chaos.server import Mortal
from tests.cluster.nodes import WHOLE, Nodes, begun
from tests.cluster.ray_cluster import cpu_s
from tests.tones import LINE_RATE, recording

SUBSCRIBERS: Final = int(os.environ.get("SUBSCRIBERS", "200"))
JOINED_WITHIN_S: Final = 2 + SUBSCRIBERS // 150
"""Nothing is said before, so that every final has all its subscribers."""


@pytest.mark.skipif(not WHOLE, reason="takes half a minute: `make cluster-test` runs it")
async def test_many_subscribers_of_one_call(nodes: Nodes, capsys: pytest.CaptureFixture[str]) -> None:
    """Half at its own server, half at another. How soon is printed with what each process worked for it: two cores
    that readers and servers share say as much of themselves.
    """
    servers = nodes.servers[:2]
    said = recording()
    silence = np.zeros(JOINED_WITHIN_S * LINE_RATE, np.int16)
    late = CallAudio({leg: np.concatenate([silence, samples]) for leg, samples in said.legs.items()}, LINE_RATE)
    call = nodes.place(servers[0], encode(late, TwilioSide.media_format))
    await begun(servers[0], call)
    reading = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.cluster.readers", call, *(str(server.port) for server in servers)),
        *("--each", str(SUBSCRIBERS // 2)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert reading.stdout is not None
    assert await reading.stdout.readline() == b"all are there\n"
    before = [cpu_s([pid_of(server)]) for server in servers]
    seen: dict[str, Any] = json.loads((await reading.communicate())[0])
    spent = [cpu_s([pid_of(server)]) - was for server, was in zip(servers, before, strict=True)]
    events = await servers[0].events(call)
    [end] = [event["seq"] for event in events if event["type"] == "call.ended"]
    lines = []
    for kind, told in seen["kinds"].items():
        assert [seqs for seqs in told["seqs"] if seqs[:end] != list(range(1, end + 1))] == []
        p50, p95, most = np.percentile(told["late_ms"], [50, 95, 100])
        port, transport = kind.split()
        name = f"{len(told['seqs'])} by {transport} at the {'own' if int(port) == servers[0].port else 'other'} server"
        lines.append(f"{name}: finals after {p50:.0f} ms p50, {p95:.0f} p95, {most:.0f} at most")
    worked = f"own server {spent[0]:.1f} s of a core, other {spent[1]:.1f}, readers {seen['cpu_s']:.1f}"
    with capsys.disabled():
        print("", *lines, f"{end} events; {worked}", sep="\n")  # noqa: T201  # what it is run for


def pid_of(server: Mortal) -> int:
    assert server.process is not None
    return server.process.pid
