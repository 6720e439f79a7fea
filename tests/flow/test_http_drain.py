"""The whole server from start to stop, as signals ask for it; only the recogniser is a stand-in that hears nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from bridge.app import serve
from bridge.carrier.place import Manner
from bridge.clock import SystemClock
from bridge.errors import CallRefusedError, SetupError
from bridge.ingest.audiosocket import Kind, packet
from bridge.model.records import CallRecord, CallStatus
from bridge.ports import Decoded, DecodeJob
from bridge.settings import Settings
from bridge.store.cipher import Cipher, secret_keys
from bridge.store.sql import open_store
from bridge.web.context import Context
from tests.calling import call, two_parties
from tests.http_server import PATIENCE_S, until


class Deaf:
    """An Engine for which everything is silence."""

    async def decode(self, job: DecodeJob) -> Decoded | None:
        return Decoded.nothing(job.language or "en")

    def pressure(self) -> float:
        return 0.0


@dataclass
class Running:
    """A server in this process, with its own files."""

    url: str
    context: Context
    settings: Settings
    serving: asyncio.Task[None]

    @property
    def twilio(self) -> str:
        return f"{self.url.replace('http', 'ws')}/v1/media/twilio"

    async def status(self, path: str) -> int:
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as response:
            return response.status

    async def knows(self, call_id: str) -> None:
        """Until the call can be read: it is kept a moment after it was taken."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                if await self.status(f"/v1/calls/{call_id}") == 200:
                    return
                await asyncio.sleep(0.01)

    async def stopped(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self.serving

    async def kept(self, call_id: str) -> CallRecord:
        """The call as the database has it, once the server has gone."""
        store = await open_store(self.settings.database_url, Cipher(secret_keys(self.settings)), SystemClock())
        try:
            return await store.call("default", call_id)
        finally:
            await store.close()


def settings_in(folder: Path, **given: object) -> Settings:
    return Settings(
        **{
            "auth": "off",
            "port": 0,
            "audiosocket_port": "off",
            "database_url": f"sqlite:///{folder}/var/callbridge.db",
            "spool_dir": folder / "var" / "spool",
            "drain_grace_s": 30,
            **given,
        }
    )


@asynccontextmanager
async def started(settings: Settings) -> AsyncIterator[Running]:
    told: asyncio.Future[tuple[str, Context]] = asyncio.get_running_loop().create_future()

    async def ready(url: str, context: Context) -> None:
        told.set_result((url, context))

    serving = asyncio.create_task(serve(settings, SystemClock(), ready=ready, engine=Deaf()))
    try:
        await asyncio.wait({serving, told}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            await serving
        url, context = told.result()
        yield Running(url, context, settings, serving)
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def test_sigterm_lets_a_call_run_on_and_no_other_in(tmp_path: Path) -> None:
    """Not ready and no new calls at once; the call in progress ends as its carrier ends it, then the server does."""
    async with started(settings_in(tmp_path)) as server:
        placed = asyncio.create_task(
            call(server.twilio, two_parties(1.2), manner=Manner(), parameters={"call_id": "one"})
        )
        await until(lambda: server.context.calls.active() == 1)
        assert await server.status("/readyz") == 200
        os.kill(os.getpid(), signal.SIGTERM)
        await until(server.context.leaving.is_set)
        assert await server.status("/readyz") == 503
        assert await server.status("/v1/calls") == 200
        with pytest.raises(CallRefusedError, match="503"):
            await call(server.twilio, two_parties(0.1))
        report = await placed
        await server.stopped()
    assert report.close_code == 1000
    record = await server.kept("one")
    assert (record.status, record.reason, record.settled) == (CallStatus.COMPLETED, "hangup", True)
    assert record.duration_ms == pytest.approx(1200, abs=20)


async def test_a_second_signal_ends_calls_at_once_and_truly(tmp_path: Path) -> None:
    """The carrier is told 1001; what was heard is kept, the end is durable and says `drained`."""
    async with started(settings_in(tmp_path)) as server:
        placed = asyncio.create_task(
            call(server.twilio, two_parties(60), manner=Manner(), parameters={"call_id": "one"})
        )
        await until(lambda: server.context.calls.active() == 1)
        await asyncio.sleep(0.3)
        os.kill(os.getpid(), signal.SIGTERM)
        await until(server.context.leaving.is_set)
        os.kill(os.getpid(), signal.SIGINT)
        await server.stopped()
        report = await placed
    assert report.close_code == 1001
    record = await server.kept("one")
    assert (record.status, record.reason, record.settled) == (CallStatus.COMPLETED, "drained", True)
    assert record.duration_ms is not None
    assert 200 <= record.duration_ms < 5000


async def test_the_grace_has_an_end(tmp_path: Path) -> None:
    """A call that outlasts `drain_grace_s` is ended as drained without a second signal."""
    async with started(settings_in(tmp_path, drain_grace_s=0.2)) as server:
        placed = asyncio.create_task(
            call(server.twilio, two_parties(60), manner=Manner(), parameters={"call_id": "one"})
        )
        await until(lambda: server.context.calls.active() == 1)
        os.kill(os.getpid(), signal.SIGTERM)
        await server.stopped()
        assert (await placed).close_code == 1001
    assert (await server.kept("one")).reason == "drained"


async def test_who_watches_sees_the_last_words(tmp_path: Path) -> None:
    """A live reader is sent away only after the calls' ends were shown."""
    async with started(settings_in(tmp_path)) as server, aiohttp.ClientSession() as session:
        placed = asyncio.create_task(
            call(server.twilio, two_parties(60), manner=Manner(), parameters={"call_id": "one"})
        )
        await server.knows("one")
        async with session.ws_connect(f"{server.url}/v1/calls/one/live") as watching:
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGTERM)
                await asyncio.sleep(0.05)
            types = [message.json()["type"] async for message in watching]
        await server.stopped()
        await placed
    assert types[0] == "call.started"
    assert types[-1] == "call.ended"


async def test_a_first_start_makes_what_it_needs_for_its_owner_alone(tmp_path: Path) -> None:
    """Database, key and spool appear in `var/`, and nobody else may read them."""
    async with started(settings_in(tmp_path)) as server:
        os.kill(os.getpid(), signal.SIGTERM)
        await server.stopped()
    for name, mode in {"callbridge.db": 0o600, "secret.key": 0o600, "spool": 0o700}.items():
        assert stat.S_IMODE((tmp_path / "var" / name).stat().st_mode) == mode


async def test_the_bootstrap_key_and_endpoint_are_there_from_the_first_start(tmp_path: Path) -> None:
    """Two settings, and calls are told to a receiver: no API call needed."""
    settings = settings_in(
        tmp_path,
        auth="required",
        bootstrap_key="the-operators-first-key",
        webhook_url="https://hooks.example.org/calls",
        webhook_secret="whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3",
    )
    async with started(settings) as server, aiohttp.ClientSession(server.url) as session:
        assert await server.status("/v1/webhooks") == 401
        headers = {"Authorization": "Bearer the-operators-first-key"}
        async with session.get("/v1/webhooks", headers=headers) as response:
            (endpoint,) = (await response.json())["webhooks"]
    assert (endpoint["url"], endpoint["events"]) == (settings.webhook_url, ["call.completed", "call.failed"])


async def test_a_port_that_is_taken_is_said_in_a_line(tmp_path: Path) -> None:
    """The message names the port and what to do; nothing is left running."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SetupError, match=rf"127\.0\.0\.1:{port}: another program listens there; --port"):
            async with started(settings_in(tmp_path, port=port)):
                pytest.fail("started on a port that is taken")
    await until(lambda: len(asyncio.all_tasks()) == 1)


async def test_a_second_server_on_a_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where AudioSocket's usual port is taken, which nobody asked for, the server starts without it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        usual = settings_in(tmp_path, audiosocket_port=taken.getsockname()[1])
        monkeypatch.setattr(Settings, "model_fields_set", usual.model_fields_set - {"audiosocket_port"})
        async with started(usual) as server:
            assert await server.status("/healthz") == 200


async def test_an_audiosocket_port_that_is_taken(tmp_path: Path) -> None:
    """One that was asked for stops the start; the message names the port and what to do, and nothing is left running."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SetupError, match=rf":{port}: another program listens there; CALLBRIDGE_AUDIOSOCKET_PORT"):
            async with started(settings_in(tmp_path, audiosocket_port=port)):
                pytest.fail("started on a port that is taken")
    await until(lambda: len(asyncio.all_tasks()) == 1)


async def test_a_stop_with_an_audiosocket_call(tmp_path: Path) -> None:
    """A first SIGTERM lets it run on, a second one hangs it up; nothing that was heard is lost."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with started(settings_in(tmp_path, audiosocket_port=port)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(packet(Kind.UUID, bytes(16)) + packet(Kind.AUDIO, bytes(320)))
        await until(lambda: server.context.calls.active() == 1)
        os.kill(os.getpid(), signal.SIGTERM)
        await until(server.context.leaving.is_set)
        os.kill(os.getpid(), signal.SIGTERM)
        said = await asyncio.wait_for(reader.read(), PATIENCE_S)
        writer.close()
        await server.stopped()
    assert said.endswith(packet(Kind.HANG_UP))
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        pytest.param({"language": "xx"}, "CALLBRIDGE_LANGUAGE: 'base' does not write 'xx'", id="language"),
        pytest.param({"spool_dir": Path("/proc/none")}, "CALLBRIDGE_SPOOL_DIR: cannot make /proc/none", id="spool"),
        pytest.param({"webhook_url": "http://10.0.0.1/"}, "CALLBRIDGE_WEBHOOK_URL", id="webhook"),
    ],
)
async def test_what_cannot_work_stops_the_start(tmp_path: Path, given: dict[str, object], fault: str) -> None:
    """One line that names the setting, before anything listens."""
    with pytest.raises(SetupError, match=fault):
        async with started(settings_in(tmp_path, **given)):
            pytest.fail("started with a setting that cannot work")
