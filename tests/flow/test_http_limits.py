"""Limits of one tenant as clients meet them: a status, an error in our shape, and headers that say what is left."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bridge.ports import Store
from bridge.settings import Settings
from bridge.web.auth import Scope
from tests.clock import VirtualClock
from tests.http_server import HttpServer
from tests.story import started


@pytest.fixture
async def http(sqlite_store: Store, clock: VirtualClock) -> AsyncIterator[HttpServer]:
    settings = Settings(
        requests_per_minute=30,
        tenant_tokens_per_minute=2,
        tenant_max_keys=2,
        tenant_max_webhooks=1,
        tenant_max_readers=1,
    )
    async with HttpServer(sqlite_store, clock, settings) as server:
        yield server


async def test_requests_by_credential(http: HttpServer) -> None:
    """Every answer says what is left; with nothing left it is 429 and says when to come back. Another key has its own
    allowance, what needs none is still answered, and so is a call.
    """
    for left in range(29, -1, -1):
        response = await http.ask("GET", "/v1/calls")
        assert (response.status, response.headers["RateLimit-Remaining"]) == (200, str(left))
    response = await http.ask("GET", "/v1/calls/none")
    assert (response.status, response.headers["Retry-After"]) == (429, "2")
    assert response.headers["RateLimit-Limit"] == "30"
    assert response.headers["RateLimit-Remaining"] == "0"
    assert response.headers["RateLimit-Reset"] == "60"
    error = (await response.json())["error"]
    assert (error["code"], error["type"], error["details"]) == (
        "too_many_requests",
        "request_error",
        {"retry_after": 2},
    )
    assert (await http.ask("GET", "/v1/calls", tenant="rival")).headers["RateLimit-Remaining"] == "29"
    token = http.token(Scope.CALLS_READ)
    assert (await http.ask("GET", "/v1/calls", tenant=None, params={"token": token})).status == 200
    healthy = await http.ask("GET", "/healthz")
    assert healthy.status == 200
    assert "RateLimit-Limit" not in healthy.headers
    async with http.socket("/v1/media/twilio") as media:
        assert not media.closed
    await http.clock.advance(2)
    assert (await http.ask("GET", "/v1/calls")).status == 200


async def test_a_fault_counts_too(http: HttpServer) -> None:
    """A request that is wrong costs as much as one that is right; one without a credential is nobody's."""
    await http.fault("GET", "/v1/calls?colour=red", status=422)
    assert "RateLimit-Limit" not in (await http.ask("GET", "/v1/calls", tenant=None)).headers
    assert (await http.ask("GET", "/v1/calls")).headers["RateLimit-Remaining"] == "28"


async def test_tokens_of_a_tenant(http: HttpServer) -> None:
    """Each would have an allowance of its own: so they are counted where they are made."""
    for identity in ("a", "b"):
        await http.json("POST", "/v1/tokens", status=201, json={"identity": identity})
    error = await http.fault("POST", "/v1/tokens", status=429, json={"identity": "c"})
    assert (error["code"], error["details"]) == ("too_many_requests", {"retry_after": 30})
    await http.json("POST", "/v1/tokens", status=201, json={"identity": "c"}, tenant="rival")


async def test_keys_of_a_tenant(http: HttpServer) -> None:
    """Live ones: one that was revoked makes room."""
    made = await http.json("POST", "/v1/keys", status=201, json={"name": "second"})
    await http.fault("POST", "/v1/keys", status=409, json={"name": "third"})
    await http.json("POST", "/v1/keys", status=201, json={"name": "second"}, tenant="rival")
    await http.json("DELETE", f"/v1/keys/{made['id']}")
    await http.json("POST", "/v1/keys", status=201, json={"name": "third"})


async def test_endpoints_of_a_tenant(http: HttpServer) -> None:
    """One that was deleted makes room."""
    made = await http.json("POST", "/v1/webhooks", status=201, json={"url": "https://a.example.org/"})
    await http.fault("POST", "/v1/webhooks", status=409, json={"url": "https://b.example.org/"})
    await http.ask("DELETE", f"/v1/webhooks/{made['id']}")
    await http.json("POST", "/v1/webhooks", status=201, json={"url": "https://b.example.org/"})


async def test_live_streams_of_a_tenant(http: HttpServer) -> None:
    """Of a call or of all calls, over either transport; one that ends makes room."""
    await http.tell("one", started(), last_seq=0)
    async with http.sse("/v1/events"):
        for path in ("/v1/events", "/v1/calls/one/events"):
            assert (await http.fault("GET", path, status=429))["code"] == "too_many_requests"
        headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        await http.fault("GET", "/v1/calls/one/live", status=429, headers=headers)
        async with http.sse("/v1/events", tenant="rival") as other:
            assert other.response.status == 200
