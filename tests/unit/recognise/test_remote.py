"""The engine of a cluster as a bridge sees it: what nobody answers is asked again, and no final is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.errors import EngineError, SetupError
from bridge.ports import Decoded, DecodeJob, Urgency
from bridge.recognise.remote import PRESSURE, REPLICA, TOOK, RemoteEngine
from bridge.recognise.wire import pack_decoded, unpack_job
from tests.clock import LeapingClock

DECODED = Decoded(
    text="hello",
    language="en",
    language_probability=0.9,
    average_log_probability=-0.2,
    no_speech_probability=0.01,
)
HEADERS = {REPLICA: "r1", PRESSURE: "0.5", TOOK: "0.1"}

Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


def job(urgency: Urgency = Urgency.FINAL) -> DecodeJob:
    return DecodeJob(samples=np.zeros(1600, np.float32), urgency=urgency, deadline=1.0)


class Cluster:
    """What stands for Ray Serve's proxy: answers in turn, the last one again and again."""

    def __init__(self) -> None:
        self.answers: list[Answering] = [self.decoded]
        self.asked: list[DecodeJob] = []

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(unpack_job(await request.read(), 0.0))
        return await (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])(request)

    async def decoded(self, _: web.Request) -> web.StreamResponse:
        return web.Response(body=pack_decoded(DECODED), headers=HEADERS)

    async def shed(self, _: web.Request) -> web.StreamResponse:
        return web.Response(status=204, headers=HEADERS)

    async def undecodable(self, _: web.Request) -> web.StreamResponse:
        return web.Response(status=422, text="no such language")

    async def unavailable(self, _: web.Request) -> web.StreamResponse:
        return web.Response(status=503)

    async def dies(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
async def engine(cluster: Cluster) -> AsyncIterator[RemoteEngine]:
    app = web.Application()
    app.router.add_post("/decode", cluster.take)
    app.router.add_get("/decode", cluster.shed)
    async with TestServer(app, host="127.0.0.1") as server:
        engine = RemoteEngine(f"ray://127.0.0.1:{server.port}", LeapingClock())
        yield engine
        await engine.close()


async def test_a_job_is_decoded_elsewhere(engine: RemoteEngine, cluster: Cluster) -> None:
    """Its answer comes back, and with it how busy they are there."""
    assert await engine.decode(job()) == DECODED
    assert cluster.asked[0].urgency is Urgency.FINAL
    assert engine.pressure() == 0.5
    await engine.check()


async def test_a_partial_that_was_shed_there(engine: RemoteEngine, cluster: Cluster) -> None:
    """It is shed here."""
    cluster.answers = [cluster.shed]
    assert await engine.decode(job(Urgency.PARTIAL)) is None


@pytest.mark.parametrize("urgency", [Urgency.FINAL, Urgency.SPECULATIVE, Urgency.RECORDING])
async def test_a_replica_that_dies_loses_nothing(engine: RemoteEngine, cluster: Cluster, urgency: Urgency) -> None:
    """Nor does a proxy that has none for a while: it is asked until there is an answer."""
    cluster.answers = [cluster.dies, cluster.unavailable, cluster.dies, cluster.decoded]
    assert await engine.decode(job(urgency)) == DECODED
    assert len(cluster.asked) == 4
    assert engine.fault is None


@pytest.mark.parametrize("urgency", [Urgency.PARTIAL, Urgency.SETTLE])
async def test_what_nobody_waits_for_is_asked_once(engine: RemoteEngine, cluster: Cluster, urgency: Urgency) -> None:
    """A later one, or the text as it stands, does instead."""
    cluster.answers = [cluster.dies, cluster.decoded]
    assert await engine.decode(job(urgency)) is None
    assert len(cluster.asked) == 1


async def test_speech_that_cannot_be_decoded(engine: RemoteEngine, cluster: Cluster) -> None:
    """The replica has tried twice: it is not asked again."""
    cluster.answers = [cluster.undecodable, cluster.decoded]
    with pytest.raises(EngineError, match="no such language"):
        await engine.decode(job())
    assert len(cluster.asked) == 1


async def test_a_cluster_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while calls are kept away and a piece of speech is given up; not before."""
    gone = RemoteEngine("ray://127.0.0.1:9", LeapingClock())
    with pytest.raises(EngineError, match="no answer within 180 s"):
        await gone.decode(job())
    assert gone.fault is not None
    assert gone.pressure() == 1.0
    with pytest.raises(EngineError):
        await gone.check()
    await gone.close()


async def test_a_job_that_is_taken_back(engine: RemoteEngine, cluster: Cluster) -> None:
    """The cluster hears of it: the connection is closed."""
    came, left = asyncio.Event(), asyncio.Event()

    async def waits(request: web.Request) -> web.StreamResponse:
        came.set()
        try:
            while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        finally:  # whether the server cancels its handler or not
            left.set()
        return web.Response()

    cluster.answers = [waits]
    decoding = asyncio.create_task(engine.decode(job()))
    await came.wait()
    decoding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await decoding
    async with asyncio.timeout(5):
        await left.wait()


@pytest.mark.parametrize("address", ["ray://", "http://host:8000", "ray://host:port", "auto", ""])
def test_addresses_that_are_none(address: str) -> None:
    """They are a fault of the settings."""
    with pytest.raises(SetupError):
        RemoteEngine(address, LeapingClock())


def test_the_port_may_be_left_out() -> None:
    """It is Ray Serve's own."""
    assert RemoteEngine("ray://ray-head", LeapingClock())._url == "http://ray-head:8000/decode"
    assert RemoteEngine("ray://[::1]:9000", LeapingClock())._url == "http://[::1]:9000/decode"
