"""A Ray cluster of this machine's own with the recogniser on it, and the processes that belong to it."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from bridge.clock import SystemClock
from bridge.recognise.remote import RemoteEngine
from tests.free_ports import free_ports

READY_WITHIN_S: Final = 300.0
DEPLOY: Final = ("-m", "bridge", "deploy-engine")


@dataclass
class RayCluster:
    """Two replicas behind `address`; `pid` is the process that all of it hangs on."""

    port: int
    pid: int
    environment: dict[str, str]
    command: Sequence[str]

    @property
    def address(self) -> str:
        return f"ray://127.0.0.1:{self.port}"

    def replicas(self) -> list[int]:
        """The processes that decode."""
        return [child for child, name in descendants(self.pid).items() if "ServeReplica" in name]

    async def deploy(self) -> None:
        """The next version in place of the one that runs. Returns once it is up."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *self.command, "--address", "auto", *_options(self.port)), env=self.environment
        )
        assert await process.wait() == 0


def _options(port: int) -> Sequence[str]:
    return ("--port", str(port), "--cpus", "1", "--min-replicas", "2", "--max-replicas", "2")


@asynccontextmanager
async def ray_cluster(command: Sequence[str] = DEPLOY) -> AsyncIterator[RayCluster]:
    """`command` deploys the recogniser, as `callbridge deploy-engine` does. Skips where Ray is not installed."""
    pytest.importorskip("ray.serve", reason="ray is not installed (the extra `ray`)")
    port = free_ports()
    with tempfile.TemporaryDirectory(prefix="cb-") as folder:  # a short name: Ray's sockets lie deep below it
        environment = os.environ | {
            "RAY_TMPDIR": folder,
            "RAY_AUTH_TOKEN": secrets.token_hex(16),
            "RAY_raylet_start_wait_time_s": "240",
        }
        log = Path(folder) / "deploy.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, *command, *_options(port)), env=environment, stdout=output, stderr=output
            )
        cluster = RayCluster(port, process.pid, environment, command)
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                while b"The recogniser answers" not in log.read_bytes():
                    assert process.returncode is None, log.read_text("utf-8")[-2000:]
                    await asyncio.sleep(0.2)
            yield cluster
        finally:
            left = descendants(process.pid)
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            await process.wait()
            await _gone(left)


@asynccontextmanager
async def engine_of(cluster: RayCluster) -> AsyncIterator[RemoteEngine]:
    engine = RemoteEngine(cluster.address, SystemClock())
    try:
        await engine.check()
        yield engine
    finally:
        await engine.close()


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


def cpu_s(pids: Iterable[int]) -> float:
    """What these processes have worked, those that are gone left out; in steps of the kernel's ticks."""
    ticks = 0
    for pid in pids:
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


async def _gone(left: dict[int, str], limit_s: float = 20.0) -> None:
    """What Ray leaves behind goes by itself, or is ended after `limit_s`."""
    end = asyncio.get_running_loop().time() + limit_s
    while asyncio.get_running_loop().time() < end and any(_lives(pid, name) for pid, name in left.items()):  # noqa: ASYNC110  # nothing tells
        await asyncio.sleep(0.2)
    for pid, name in left.items():
        if _lives(pid, name):
            os.kill(pid, signal.SIGKILL)


def _lives(pid: int, name: str) -> bool:
    """Whether it is still that process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") == name != ""
    except OSError:
        return False
