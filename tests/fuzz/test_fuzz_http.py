"""Whatever is asked, the HTTP face answers, and never with a fault of its own. The routes are those of the tables."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from aiohttp import hdrs
from yarl import URL

from bridge.ports import Store
from bridge.settings import Settings
from bridge.web.route import Incoming
from bridge.web.server import TABLE
from bridge.web.voice.table import VOICES
from tests.clock import VirtualClock
from tests.fuzz.mutation import Mutation
from tests.fuzz.parsers import QUESTION
from tests.http_server import HttpServer
from tests.story import ended, final, started

N = int(os.environ.get("FUZZ_N", "250"))
SEED = os.environ.get("SEED", "1")

ENDLESS = {"tenant_events", "call_live"}
"""What answers for as long as its reader stays: WebSockets, and a stream that never ends."""
MOVING = {hdrs.METH_DELETE}
"""Methods that would take away what the others ask for: never with an id that is right."""

ROUTES = [route for route in TABLE if route.handler.__name__ not in ENDLESS]

SAMPLES: dict[str, tuple[Any, ...]] = {
    "status": ("completed", "exhausted"),
    "started_after": ("2026-11-21T10:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+00:00", "1e12", "253402300800"),
    "started_before": ("2026-11-21T10:00:00.5+02:00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"),
    "ended_after": ("2026-11-21T10:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"),
    "text": ("hello", "don't", '"a OR b" NEAR(c)', "東京", "*"),
    "limit": (1, 200),
    "format": ("srt", "json"),
    "after": (0, 3, 2**31, 2**63, 10**30),
    "url": ("https://hooks.example.org/x", "http://10.0.0.1/"),
    "events": (["call.completed"], ["*"]),
    "enabled": (True,),
    "expires_in": (60,),
    "scopes": (["media"],),
    "overlap_s": (60,),
}  # fmt: skip
"""Good values by name; whatever else a route reads is given a word."""

CURSORS = ([1 << 60], [1.5, 1 << 60], [float("nan"), 1], [1e308, 2**63], [2**64], [True], ["1"], [-1], [10**400])


def sample(model: type[Incoming], by: Mutation) -> dict[str, Any]:
    return {
        name: by.one_of(SAMPLES.get(name, ("word",)))
        for name, field in model.model_fields.items()
        if field.is_required() or by.chance(0.4)
    }


def draw_cursor(by: Mutation) -> str:
    place = by.one_of(CURSORS)
    raw = json.dumps(by.value(place) if by.chance(0.5) else place).encode()
    return base64.urlsafe_b64encode(by.raw(raw) if by.chance(0.3) else raw).decode().rstrip("=")


def storable(value: Any) -> str:
    return str(value).encode("utf-8", "replace").decode()


def draw_request(http: HttpServer, ids: dict[str, str], by: Mutation) -> dict[str, Any]:
    """Arguments for one request."""
    headers = {"Authorization": f"Bearer {http.keys['acme']}"}
    if by.chance(0.1):
        return {**draw_question(by), "headers": headers}
    route = by.one_of(ROUTES)

    def own(found: re.Match[str]) -> str:
        known = ids.get(found[1], "one")
        wanted = storable(by.text(known)) if route.method in MOVING or by.chance(0.2) else known
        return (
            quote(wanted, safe="").replace(".", "%2E") or "x"
        )  # or the client itself goes up a folder (RFC 3986 §5.2.4)

    query = sample(route.query, by)
    if "cursor" in route.query.model_fields and by.chance(0.5):
        query["cursor"] = draw_cursor(by)
    given = {
        storable(name): storable(by.text(str(value)) if by.chance(0.3) else value) for name, value in query.items()
    }
    url = re.sub(r"{(\w+)}", own, route.path) + "?" + urlencode(given)
    if by.chance(0.15):
        headers["Last-Event-ID"] = by.one_of(("3", "²", "-1", "9" * 25, "x"))
    if by.chance(0.05):
        headers["Host"] = by.one_of(("[::", "a b", "calls.example.org", "[::1]:99999", "x" * 300))
    request: dict[str, Any] = {"method": route.method, "url": URL(url, encoded=True), "headers": headers}
    if route.body.model_fields:
        body = sample(route.body, by)
        raw = json.dumps(by.value(body) if by.chance(0.7) else body).encode()
        request["data"] = by.raw(raw) if by.chance(0.3) else raw
        headers["Content-Type"] = "application/json"
    return request


def draw_question(by: Mutation) -> dict[str, Any]:
    voice = by.one_of(VOICES)
    given = by.pairs(QUESTION)
    form = by.pairs(QUESTION)
    request: dict[str, Any] = {
        "method": by.one_of(voice.methods),
        "url": URL(f"{voice.path}?{urlencode(given)}", encoded=True),
    }
    if request["method"] == hdrs.METH_POST:
        kind = by.one_of(
            (
                "application/x-www-form-urlencoded",
                "application/json",
                "multipart/form-data; boundary=b",
                "text/x; charset=nil",
            )
        )
        raw = json.dumps(by.value(form)).encode() if kind == "application/json" else urlencode(form).encode()
        if kind.startswith("multipart"):
            raw = b'--b\r\nContent-Disposition: form-data; name="From"\r\n\r\n+1\r\n--b--\r\n'
        request["data"] = by.raw(raw) if by.chance(0.5) else raw
        request["skip_auto_headers"] = ["Content-Type"]
        request["content_type"] = kind
    return request


@pytest.fixture
async def http(sqlite_store: Store, clock: VirtualClock) -> AsyncIterator[HttpServer]:
    async with HttpServer(sqlite_store, clock, Settings(requests_per_minute=0, tenant_tokens_per_minute=0)) as server:
        yield server


async def test_no_request_is_answered_with_our_fault(http: HttpServer) -> None:
    """Every route of the tables, its parameters, body, cursor and credentials disfigured: an answer, or a 4xx in our shape."""
    await http.add_endpoint("we_1")
    await http.tell("one", started(), final(1, "hello there"), ended(), last_seq=0)
    await http.settle("one")
    await http.tell("two", started(), final(1, "hello again"), ended(), last_seq=0)
    await http.settle("two")
    ids = {"call_id": "one", "webhook_id": "we_1", "delivery_id": (await http.deliveries())[0].id, "name": "start.js"}
    for number in range(N):
        request = draw_request(http, ids, Mutation(f"{SEED} http {number}"))
        if (kind := request.pop("content_type", None)) is not None:
            request["headers"]["Content-Type"] = kind
        async with http.session.request(**request) as response:
            text = await response.text()
        assert response.status < 500, f"request {number} of seed {SEED}: {request}\n{text}"
        if response.status >= 400 and response.content_type == "application/json":
            assert set(json.loads(text)["error"]) == {"code", "message", "type", "details"}
