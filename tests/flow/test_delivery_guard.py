"""The guard at real sockets: what a customer's URL may not reach, it does not reach."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.deliver.guard import Guard, GuardedSession
from bridge.errors import InvalidRequestError


@dataclass
class Inside:
    """A server on loopback, and the cookies of those who reached it."""

    port: int
    visits: list[str | None]


@pytest.fixture
async def inside() -> AsyncIterator[Inside]:
    visits: list[str | None] = []

    async def answer(request: web.Request) -> web.Response:
        visits.append(request.headers.get("cookie"))
        response = web.Response(text="the crown jewels")
        if request.path == "/moved":
            response = web.Response(status=302, headers={"location": "/"})
        response.set_cookie("session", "1")
        return response

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(application, host="127.0.0.1") as server:
        assert server.port is not None
        yield Inside(server.port, visits)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "0x7f000001", "2130706433", "0177.0.0.1", "127.1", "[::ffff:127.0.0.1]"]
)
async def test_a_url_that_leads_inside(inside: Inside, host: str) -> None:
    """Whatever the resolver makes of the host, nothing inside is reached."""
    session = GuardedSession(Guard("off"))
    try:
        with pytest.raises((aiohttp.ClientError, InvalidRequestError)):
            await session.request("GET", f"http://{host}:{inside.port}/")
    finally:
        await session.close()
    assert inside.visits == []


async def test_what_the_customer_is_told(inside: Inside) -> None:
    """That it is not public; not which address the operator's DNS knows it by."""
    session = GuardedSession(Guard("off"))
    try:
        with pytest.raises(aiohttp.ClientConnectorError, match="not a public address") as caught:
            await session.request("GET", f"http://localhost:{inside.port}/")
    finally:
        await session.close()
    assert "127.0.0.1" not in str(caught.value)


@pytest.mark.parametrize("allowed", ["on", "localhost", "127.0.0.0/8, ::1"])
async def test_a_name_that_the_operator_lets_inside(inside: Inside, allowed: str) -> None:
    """By name or by network, the server inside is reached."""
    session = GuardedSession(Guard(allowed))
    try:
        async with await session.request("GET", f"http://localhost:{inside.port}/") as response:
            assert response.status == 200
    finally:
        await session.close()
    assert len(inside.visits) == 1


class Answers:
    """A resolver that may change its answer: the first is what somebody who checks too early would see."""

    def __init__(self, *answers: tuple[str, ...]) -> None:
        self._answers = list(answers)

    def __call__(self, _host: str, port: int, *_: object, **__: object) -> list[tuple[object, ...]]:
        addresses = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]


async def test_a_name_that_changes_its_answer(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rebinding: what a name led to before says nothing of the next connection."""
    monkeypatch.setattr(socket, "getaddrinfo", Answers(("127.0.0.2",), ("127.0.0.1",)))
    session = GuardedSession(Guard("127.0.0.2"))
    try:
        with pytest.raises(aiohttp.ClientConnectorError):  # allowed, and nobody is there
            await session.request("GET", f"http://rebinding.example.org:{inside.port}/")
        assert isinstance(session._guarded.connector, aiohttp.TCPConnector)
        session._guarded.connector.clear_dns_cache()  # as it does by itself after ten seconds
        with pytest.raises(aiohttp.ClientConnectorError, match="not a public address"):
            await session.request("GET", f"http://rebinding.example.org:{inside.port}/")
    finally:
        await session.close()
    assert inside.visits == []


async def test_a_name_with_addresses_on_both_sides(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many addresses a name has, those inside are not tried when the others fail."""
    monkeypatch.setattr(socket, "getaddrinfo", Answers(("127.0.0.2", "127.0.0.1")))
    session = GuardedSession(Guard("127.0.0.2"))
    try:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.request("GET", f"http://both.example.org:{inside.port}/")
    finally:
        await session.close()
    assert inside.visits == []


async def test_a_trusted_names_connection_serves_no_other_name(inside: Inside) -> None:
    """A connection kept open for an allowed name is not lent to a URL that is not allowed."""
    session = GuardedSession(Guard("localhost"))
    try:
        async with await session.request("GET", f"http://localhost:{inside.port}/") as response:
            await response.read()
        with pytest.raises(InvalidRequestError):
            await session.request("GET", f"http://127.0.0.1:{inside.port}/")
    finally:
        await session.close()
    assert len(inside.visits) == 1


async def test_redirects_are_answers_and_cookies_are_dropped(inside: Inside) -> None:
    """Neither leads anywhere: not to another address, not to another request."""
    session = GuardedSession(Guard("on"))
    try:
        for _ in range(2):
            async with await session.request("GET", f"http://127.0.0.1:{inside.port}/moved") as response:
                assert response.status == 302
    finally:
        await session.close()
    assert inside.visits == [None, None]
