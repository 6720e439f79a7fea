"""The recogniser on a real Ray cluster of this machine: two replicas with the real model, one of which is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from bridge.clock import SystemClock
from bridge.errors import EngineError
from bridge.model.frame import Samples, from_ms
from bridge.model.stream import Leg
from bridge.ports import Decoded, DecodeJob, Urgency
from bridge.recognise.remote import RemoteEngine
from bridge.recordings.file import look
from bridge.samples import TWO_PARTY

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif("CLUSTER" not in os.environ, reason="takes a minute: `make cluster-test` runs it"),
]

READY_WITHIN_S: Final = 180.0
GREETING_MS: Final = (500, 3600)
JOBS: Final = 10


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[tuple[RemoteEngine, int]]:
    """The cluster, and the process that it belongs to."""
    pytest.importorskip("ray.serve", reason="ray is not installed (the extra `ray`)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path / "ray.log"
    replicas = ("--cpus", "1", "--min-replicas", "2", "--max-replicas", "2")
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bridge", "deploy-engine", "--port", str(port), *replicas),
            stdout=output,
            stderr=output,
        )
    opened = RemoteEngine(f"ray://127.0.0.1:{port}", SystemClock())
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            while b"The recogniser answers" not in log.read_bytes():
                assert process.returncode is None, log.read_text("utf-8")[-2000:]
                await asyncio.sleep(0.2)
        await opened.check()
        yield opened, process.pid
    finally:
        await opened.close()
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await process.wait()


async def greeting() -> Samples:
    block = await asyncio.to_thread(lambda: next(look(TWO_PARTY).blocks()))
    return block[Leg.AGENT][slice(*map(from_ms, GREETING_MS))]


async def decode(engine: RemoteEngine, samples: Samples, urgency: Urgency = Urgency.FINAL) -> Decoded | None:
    now = SystemClock().monotonic()
    return await engine.decode(DecodeJob(samples=samples, urgency=urgency, deadline=now + 1, language="en"))


def descendants(pid: int) -> dict[int, str]:
    """Processes under `pid` and what they call themselves."""
    parents: dict[int, int] = {}
    names: dict[int, str] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
            names[int(status.parent.name)] = (status.parent / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    found: dict[int, str] = {}
    for child in parents:
        above = child
        while above in parents and above != pid:
            above = parents[above]
        if above == pid:
            found[child] = names[child]
    return found


async def test_a_replica_is_killed_in_the_middle_of_its_decodes(engine: tuple[RemoteEngine, int]) -> None:
    """Both replicas decode; every final that was under way is answered all the same, with the words that were said."""
    remote, pid = engine
    samples = await greeting()
    once = await decode(remote, samples)
    assert once is not None
    assert "good morning" in once.text.lower()
    decoding = [asyncio.create_task(decode(remote, samples)) for _ in range(JOBS)]
    await asyncio.sleep(0.5)
    assert len(remote._loads) <= 2
    replicas = [child for child, name in descendants(pid).items() if "ServeReplica" in name]
    assert len(replicas) == 2
    os.kill(replicas[0], signal.SIGKILL)
    found = await asyncio.gather(*decoding)
    assert [decoded.text for decoded in found if decoded is not None] == [once.text] * JOBS
    assert remote.fault is None


async def test_what_cannot_be_decoded_is_said(engine: tuple[RemoteEngine, int]) -> None:
    """A replica's fault comes back as ours, at once."""
    remote, _ = engine
    job = DecodeJob(samples=await greeting(), urgency=Urgency.FINAL, deadline=0.0, language="nonsense")
    with pytest.raises(EngineError):
        await remote.decode(job)
