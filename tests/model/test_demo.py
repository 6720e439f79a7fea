"""The demo and the doctor with the real recogniser, as a newcomer meets them."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
from click.testing import CliRunner
from rich.console import Console

from bridge.bench.calls import read_fixture
from bridge.bench.child import child_server
from bridge.cli import main
from bridge.cli.demo_call import show_call
from bridge.cli.webhook_receiver import Receiver
from bridge.clock import SystemClock
from bridge.deliver.signing import new_secret

pytestmark = pytest.mark.model

CROSSTALK = Path(__file__).parents[2] / "fixtures" / "audio" / "crosstalk.wav"


async def test_a_short_call() -> None:
    """A whole server in a process of its own, ten seconds of two people talking at once, in real time: all of it happens."""
    console = Console(file=io.StringIO(), width=100)
    async with Receiver(new_secret(), SystemClock()).listening() as receiver:
        settings = {
            "CALLBRIDGE_WEBHOOK_URL": receiver.url,
            "CALLBRIDGE_WEBHOOK_SECRET": receiver.secret,
            "CALLBRIDGE_ALLOW_PRIVATE_URLS": "127.0.0.1",
        }
        async with child_server(settings) as server:
            verdict = await show_call(server, read_fixture(CROSSTALK), receiver, console, SystemClock())
    assert verdict.good, verdict.rows
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert shown.count("engineer") == 2, "once as a caption, once in the stored transcript"
    assert "webhook-signature: v1," in shown


def in_the_background() -> None:
    """As a shell starts what its line ends with `&`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.mark.parametrize(
    ("by", "begin"),
    [
        pytest.param(signal.SIGINT, None, id="ctrl-c"),
        pytest.param(signal.SIGTERM, None, id="sigterm"),
        pytest.param(signal.SIGTERM, in_the_background, id="sigterm-in-the-background"),
    ],
)
async def test_breaking_off(by: signal.Signals, begin: Callable[[], None] | None) -> None:
    """Ctrl-C in mid-call, or who stops a service, stops demo and server at once, without a traceback."""
    demo = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bridge", "demo",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, start_new_session=True, preexec_fn=begin,
    )  # fmt: skip
    assert demo.stdout is not None
    url = ""
    async with asyncio.timeout(120):
        async for line in demo.stdout:
            if line.startswith(b"Server"):
                url = line.split()[1].decode().rstrip(",")
            if line.startswith(b"A call comes in"):
                break
    os.killpg(demo.pid, by)  # as a terminal does: to everybody in the foreground
    async with asyncio.timeout(30):
        _, told = await demo.communicate()
    assert demo.returncode == 1
    assert told.decode().strip() == "Aborted!"
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(url)


def test_a_healthy_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is at fault, and the engine has heard what is said in the bundled call."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CALLBRIDGE_PORT", "0")
    result = CliRunner().invoke(main, ["doctor", "--json"])
    assert result.exit_code == 0, result.stdout
    checks = {row["name"]: row for row in reversed(json.loads(result.stdout)["checks"])}
    assert checks["weights"]["state"] == checks["engine"]["state"] == "good"
    assert "3.1 s of speech decoded in" in checks["engine"]["message"]
    assert list(tmp_path.iterdir()) == [], "looking leaves nothing behind"
