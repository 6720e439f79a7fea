"""A server of the bench's own: a child process on a free loopback port, with a database that nobody will miss."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import aiohttp

from bridge.bench.load import Server
from bridge.errors import SetupError

READY_WITHIN_S: Final = 120.0
STOP_WITHIN_S: Final = 20.0


@asynccontextmanager
async def child_server(settings: Mapping[str, str]) -> AsyncIterator[Server]:
    """A `callbridge serve` with `settings` over the environment's. Raises SetupError when it does not come up.

    SIGTERM breaks off what is done with it as Ctrl-C does: the server does not outlive its parent.
    """
    with TemporaryDirectory(prefix="callbridge-bench-") as folder:
        key = f"cbk_{secrets.token_hex(16)}"
        port = _free_port()
        environment = {
            **os.environ,
            "CALLBRIDGE_DATABASE_URL": f"sqlite:///{folder}/callbridge.db",
            "CALLBRIDGE_SPOOL_DIR": f"{folder}/spool",
            "CALLBRIDGE_BOOTSTRAP_KEY": key,
            "CALLBRIDGE_LOG_LEVEL": "warning",
            "CALLBRIDGE_MAX_CALLS": "10000",
            "CALLBRIDGE_AUDIOSOCKET_PORT": "off",
            **settings,
        }
        log = Path(folder) / "server.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "bridge", "serve", "--host", "127.0.0.1", "--port", str(port)),
                env=environment,
                stdout=output,
                stderr=output,
                process_group=0,  # Ctrl-C is its parent's to hear, which then stops it in order
            )
        on_sigint = signal.getsignal(signal.SIGINT)  # of a program in a shell's background: to be ignored
        on_sigterm = signal.signal(signal.SIGTERM, on_sigint if callable(on_sigint) else signal.default_int_handler)
        try:
            await _ready(f"http://127.0.0.1:{port}", process, log)
            yield Server(f"http://127.0.0.1:{port}", key)
        finally:
            await _stop(process)
            signal.signal(signal.SIGTERM, on_sigterm)


async def _ready(url: str, process: asyncio.subprocess.Process, log: Path) -> None:
    async with aiohttp.ClientSession(url) as session, asyncio.timeout(READY_WITHIN_S):
        while process.returncode is None:
            try:
                async with session.get("/readyz") as answer:
                    if answer.ok:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.2)
    said = await asyncio.to_thread(log.read_text, errors="replace")
    raise SetupError(f"the server did not start:\n{said[-2000:]}")


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_WITHIN_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
