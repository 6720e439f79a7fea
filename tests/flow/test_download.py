"""A customer's file fetched over real sockets: what is too large, too slow, elsewhere or inside is refused by name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.deliver.download import download
from bridge.deliver.guard import Guard, GuardedSession
from bridge.errors import FetchError, RequestError

MOST = 200_000
AUDIO = bytes(range(256)) * 700


class Into:
    """Where it is written."""

    def __init__(self) -> None:
        self.held = bytearray()

    async def write(self, data: bytes) -> None:
        self.held += data


async def page(_request: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>", content_type="text/html")


async def whole(_request: web.Request) -> web.StreamResponse:
    return web.Response(body=AUDIO)


async def large(_request: web.Request) -> web.StreamResponse:
    return web.Response(body=bytes(MOST + 1))


async def endless(request: web.Request) -> web.StreamResponse:
    """Says no length, and sends until nobody takes it."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(bytes(65_536))


async def stuck(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"RIFF")
    await asyncio.Event().wait()
    return response


async def cut_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-length": "1000"})
    await response.prepare(request)
    await response.write(b"RIFF")
    assert request.transport is not None
    request.transport.abort()
    return response


async def moved(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"location": "/whole"})


async def missing(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=404)


async def bomb(_request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"x", headers={"content-encoding": "gzip"})


@pytest.fixture
async def server() -> AsyncIterator[TestServer]:
    application = web.Application()
    for handler in (whole, large, endless, stuck, cut_off, moved, missing, bomb, page):
        application.router.add_get(f"/{handler.__name__}", handler)
    async with TestServer(application, host="127.0.0.1") as running:
        yield running


@pytest.fixture
async def session() -> AsyncIterator[GuardedSession]:
    opened = GuardedSession(Guard("127.0.0.1"))
    yield opened
    await opened.close()


async def test_a_file_comes_as_it_is(server: TestServer, session: GuardedSession) -> None:
    """Byte for byte."""
    into = Into()
    url = str(server.make_url("/whole"))
    await download(session, url, into.write, most_bytes=len(AUDIO), within_s=5)
    assert into.held == AUDIO


@pytest.mark.parametrize(
    ("path", "why"),
    [
        pytest.param("large", "more than 200000 bytes", id="says-it-is-too-large"),
        pytest.param("endless", "more than 200000 bytes", id="turns-out-too-large"),
        pytest.param("stuck", "not read within", id="never-ends"),
        pytest.param("cut_off", "cannot be read", id="breaks-off"),
        pytest.param("moved", "redirects", id="redirect"),
        pytest.param("missing", "status 404", id="not-there"),
        pytest.param("bomb", "compressed", id="compressed"),
        pytest.param("page", "no recording", id="a-page"),
    ],
)
async def test_what_is_not_fetched(server: TestServer, session: GuardedSession, path: str, why: str) -> None:
    """The customer is told why, and never more than the limit is written."""
    into = Into()
    within_s = 0.2 if path == "stuck" else 5
    with pytest.raises(RequestError, match=why) as caught:
        await download(session, str(server.make_url(f"/{path}")), into.write, most_bytes=MOST, within_s=within_s)
    assert caught.value.code == ("too_large" if "200000" in why else "fetch_failed")
    assert len(into.held) <= MOST


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_what_lies_inside_is_not_fetched(server: TestServer, host: str) -> None:
    """By name and by address; the answer does not say which address a name has."""
    session = GuardedSession(Guard("off"))
    try:
        with pytest.raises(FetchError, match="not a public address"):
            await download(session, f"http://{host}:{server.port}/whole", Into().write, most_bytes=MOST, within_s=5)
    finally:
        await session.close()
