"""A PostgreSQL and a Redis of a test's own, which it may stop and kill: on free ports of this machine."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.free_ports import free_ports

POSTGRES_USER: Final = "postgres"
"""Who runs it where we are root, which it refuses to be run by."""
UP_WITHIN_S: Final = 60.0


@dataclass
class Service:
    """A program that is started again as it was."""

    command: list[str]
    port: int
    user: str | None = None
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Returns once it takes connections."""
        quiet: dict[str, Any] = {"stdout": asyncio.subprocess.DEVNULL, "stderr": asyncio.subprocess.DEVNULL}
        self.process = await asyncio.create_subprocess_exec(*self.command, user=self.user, cwd="/", **quiet)
        async with asyncio.timeout(UP_WITHIN_S):
            while not await self._answers():
                assert self.process.returncode is None, f"{self.command[0]} ended"
                await asyncio.sleep(0.05)

    async def stop(self, number: signal.Signals) -> None:
        """Returns once it has gone."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)
            await self.process.wait()

    async def _answers(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True


@asynccontextmanager
async def own_redis() -> AsyncIterator[Service]:
    """Skips where it is not installed."""
    program = shutil.which("redis-server") or pytest.skip("redis-server is not installed")
    port = free_ports()
    flags = ("--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no")
    redis = Service([program, *flags], port)
    await redis.start()
    try:
        yield redis
    finally:
        await redis.stop(signal.SIGKILL)


@asynccontextmanager
async def own_postgres() -> AsyncIterator[Service]:
    """A new cluster with the database `postgres`. Skips where it is not installed."""
    programs = _programs()
    user = POSTGRES_USER if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="callbridge-postgres-") as folder:
        if user is not None:
            shutil.chown(folder, user)
        data = f"{folder}/data"
        made = await asyncio.create_subprocess_exec(
            *(str(programs / "initdb"), "-D", data, "-U", POSTGRES_USER, "-A", "trust", "-N"),
            user=user,
            cwd="/",
            stdout=asyncio.subprocess.DEVNULL,
        )
        assert await made.wait() == 0
        port = free_ports()
        flags = ("-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", folder, "-F")  # the machine itself does not fail
        postgres = Service([str(programs / "postgres"), *flags], port, user)
        await postgres.start()
        try:
            yield postgres
        finally:
            await postgres.stop(signal.SIGINT)


def _programs() -> Path:
    """Where Debian has them, which is not on the path, or where they are on the path."""
    found = [*Path("/usr/lib/postgresql").glob("*/bin/initdb"), *filter(None, [shutil.which("initdb")])]
    return Path(found[0]).parent if found else pytest.skip("PostgreSQL's own programs are not installed")
