"""A real server process that can be killed and started again over the same files."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp

from bridge.bench.child import READY_WITHIN_S

POLL_S: Final = 0.05


@dataclass
class Mortal:
    """`callbridge serve` in a process of its own."""

    folder: Path
    settings: Mapping[str, str]
    command: Sequence[str] = ("-m", "bridge", "serve")
    port: int = 0
    process: asyncio.subprocess.Process | None = None
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.folder / "server.log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    @property
    def lives(self) -> bool:
        return self.process is not None and self.process.returncode is None

    async def start(self) -> None:
        """Returns once calls may come."""
        environment = {
            **os.environ,
            "CALLBRIDGE_DATABASE_URL": f"sqlite:///{self.folder}/callbridge.db",
            "CALLBRIDGE_SPOOL_DIR": str(self.spool),
            "CALLBRIDGE_AUTH": "off",
            "CALLBRIDGE_AUDIOSOCKET_PORT": "off",
            "CALLBRIDGE_LOG_FORMAT": "json",
            **self.settings,
        }
        with self.log.open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, *self.command, "--host", "127.0.0.1", "--port", str(self.port)),
                env=environment,
                stdout=output,
                stderr=output,
            )
        async with asyncio.timeout(READY_WITHIN_S):
            while not await self._is_ready():
                assert self.process.returncode is None, self.log.read_text("utf-8")[-2000:]
                await asyncio.sleep(POLL_S)

    async def _is_ready(self) -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{self.url}/readyz") as answer:
                return answer.ok
        except aiohttp.ClientError:
            return False

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)

    async def gone(self) -> int:
        """Its exit status."""
        assert self.process is not None
        return await self.process.wait()

    async def get(self, path: str) -> Any:
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as answer:
            assert answer.ok, await answer.text()
            return await answer.json()

    async def events(self, call_id: str) -> list[dict[str, Any]]:
        """All of an ended call's."""
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{self.url}/v1/calls/{call_id}/live?after=0") as socket,
        ):
            return [message.json() async for message in socket]
