"""What every answer has in common: one shape for faults, shut doors, limits, figures; and whether calls may come."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
import structlog

from bridge.dialects import DIALECTS
from bridge.errors import StoreError
from bridge.web.auth import Scope
from bridge.web.server import TABLE
from bridge.web.voice.table import VOICES
from tests.http_server import HttpServer


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        pytest.param("GET", "/nowhere", 404, "not_found", id="unknown-path"),
        pytest.param("GET", "/v1/calls/", 404, "not_found", id="trailing-slash"),
        pytest.param("PUT", "/v1/calls", 405, "method_not_allowed", id="method"),
        pytest.param("PROPFIND", "/v1/calls", 405, "method_not_allowed", id="method-of-another-protocol"),
        pytest.param("GET", "/static/../app.py", 404, "not_found", id="out-of-static"),
        pytest.param("GET", "/static/%2e%2e/context.py", 404, "not_found", id="out-of-static-encoded"),
        pytest.param("GET", "/docs/..%2fpages.py", 404, "not_found", id="out-of-docs"),
        pytest.param("GET", "/docs/index.html", 404, "not_found", id="not-offered"),
        pytest.param("POST", "/v1/tokens", 415, "unsupported_media_type", id="body-of-another-type"),
    ],
)
async def test_what_is_not_there_is_told_in_the_same_shape(
    http: HttpServer, method: str, path: str, status: int, code: str
) -> None:
    """Unknown paths, methods and types are errors like any other."""
    data = {"data": "identity=x"} if method == "POST" else {}
    error = await http.fault(method, path, status=status, **data)
    assert (error["code"], error["type"]) == (code, "request_error")


async def test_405_names_what_would_do(http: HttpServer) -> None:
    """RFC 9110 §15.5.6."""
    assert "GET" in (await http.ask("PUT", "/v1/calls")).headers["Allow"]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{", id="cut-off"),
        pytest.param(b"\xff\xfe", id="not-utf-8"),
        pytest.param(b"[]", id="list"),
        pytest.param(b"null", id="null"),
        pytest.param(b'{"identity":' + b"[" * 10_000, id="nested-deep"),
    ],
)
async def test_a_body_that_cannot_be_read_is_422(http: HttpServer, body: bytes) -> None:
    """Whatever the bytes, the answer says that the body is wrong."""
    headers = {"Content-Type": "application/json"}
    error = await http.fault("POST", "/v1/tokens", data=body, headers=headers, status=422)
    assert error["code"] == "invalid_request"


@pytest.mark.parametrize("declared", [True, False], ids=["with-length", "in-chunks"])
async def test_a_body_over_the_limit_is_413(http: HttpServer, declared: bool) -> None:
    """It is not read to its end, whether it says how long it is or not."""

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b" " * 64 * 1024

    data = b" " * (256 * 1024 + 1) if declared else endless()
    headers = {"Content-Type": "application/json"}
    assert (await http.fault("POST", "/v1/tokens", data=data, headers=headers, status=413))["code"] == "too_large"


async def test_what_nobody_foresaw_says_nothing_of_the_inside(
    http: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """500 without a word of the exception; the log has it under the request id that the client can tell us."""

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("password=hunter2 at /srv/db")

    monkeypatch.setattr(http.store, "calls", broken)
    with structlog.testing.capture_logs() as lines:
        response = await http.ask("GET", "/v1/calls")
    body = await response.text()
    assert response.status == 500
    assert json.loads(body)["error"]["code"] == "internal"
    assert "hunter2" not in body
    assert response.headers["X-Request-Id"]
    assert any(line["event"] == "request failed" and line.get("exc_info") for line in lines)


async def test_a_database_that_is_away_is_503(http: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told by its code, and worth another try."""

    async def away(*_: object, **__: object) -> None:
        raise StoreError("database: away")

    monkeypatch.setattr(http.store, "calls", away)
    error = await http.fault("GET", "/v1/calls", status=503)
    assert (error["code"], error["type"]) == ("store_failed", "store_error")


EVERY_PATH = [
    *sorted({re.sub(r"{\w+}", "one", route.path) for route in TABLE}),
    *(dialect.path for dialect in DIALECTS.values()),
    *(voice.path for voice in VOICES),
    "/static/index.html",
    "/static/app.js",
    "/nowhere",
]


async def test_every_answer_shuts_the_doors(http: HttpServer) -> None:
    """No sniffing, no framing, no inline script, no referrer, no hint at what runs; whether it is an answer or a fault."""
    for path in EVERY_PATH:
        headers = (await http.ask("GET", path, tenant=None)).headers
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert headers["X-Frame-Options"] == "DENY", path
        assert headers["Referrer-Policy"] == "no-referrer", path
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin", path
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin", path
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy, path
        assert "frame-ancestors 'none'" in policy, path
        assert "unsafe" not in policy, path
        assert headers["Server"] == "callbridge", path
        assert headers["Cache-Control"] in {"no-cache", "no-store"}, path


async def test_a_page_takes_any_query(http: HttpServer) -> None:
    """What others hang on a page's address changes nothing; only where parameters mean something is one unknown."""
    for path in ("/", "/docs", "/docs/start.js"):
        assert (await http.ask("GET", f"{path}?utm_source=mail&_=1", tenant=None)).status == 200


async def test_the_pages_are_served_from_here_alone(http: HttpServer) -> None:
    """Everything the two pages name is on this server, and nothing is inline."""
    for page in ("/", "/docs"):
        text = await (await http.ask("GET", page, tenant=None)).text()
        assert "<script>" not in text
        assert "style=" not in text
        for address in _addresses(text):
            response = await http.ask("GET", f"/{address}", tenant=None)
            assert response.status == 200, address
    assert "SwaggerUIBundle" in await (await http.ask("GET", "/docs/start.js", tenant=None)).text()


def _addresses(page: str) -> list[str]:
    parts = page.replace("'", '"').split('"')
    found = [part for before, part in pairwise(parts) if before.endswith(("src=", "href="))]
    assert not [address for address in found if "//" in address]
    return [address for address in found if address not in {"./", "#main"}]


async def test_a_log_line_a_request_and_no_token_in_it(http: HttpServer) -> None:
    """Path, status and time; the query string, which may hold a token, is left out."""
    token = http.token(Scope.CALLS_READ)
    with structlog.testing.capture_logs() as lines:
        await http.ask("GET", f"/v1/calls?token={token}", tenant=None)
        await http.ask("GET", "/healthz", tenant=None)
    found = [line for line in lines if line["event"] == "request"]
    assert [(line["path"], line["status"], line["log_level"]) for line in found] == [
        ("/v1/calls", 200, "info"),
        ("/healthz", 200, "debug"),
    ]
    assert token not in str(lines)


async def test_figures_are_by_route_and_not_by_path(http: HttpServer) -> None:
    """What strangers ask for does not grow the list of figures; methods that nobody knows are one."""
    for number in range(3):
        await http.ask("GET", f"/v1/calls/{number}")
        await http.ask("GET", f"/{number}")
    await http.ask("PROPFIND", "/v1/calls")
    text = await (await http.ask("GET", "/metrics", tenant=None)).text()
    assert 'route="/v1/calls/{call_id}",status="404"' in text
    assert 'method="GET",route="unmatched",status="404"' in text
    assert 'method="other",route="unmatched",status="405"' in text
    assert "/v1/calls/1" not in text


async def test_ready_says_why_not(http: HttpServer) -> None:
    """A check that fails, hangs or is broken makes the server not ready, and is named; the others are judged too."""

    async def well() -> None: ...

    async def fails() -> None:
        raise StoreError("the disk is full")

    async def breaks() -> None:
        raise RuntimeError("hunter2")

    assert (await http.json("GET", "/readyz", tenant=None))["ready"] is True
    http.checks |= {"well": well, "fails": fails, "breaks": breaks}
    found = await http.json("GET", "/readyz", tenant=None, status=503)
    assert found["ready"] is False
    assert found["checks"]["well"] == {"ok": True, "message": None, "needed": True}
    assert found["checks"]["fails"] == {"ok": False, "message": "the disk is full", "needed": True}
    assert found["checks"]["breaks"]["ok"] is False
    assert "hunter2" not in str(found)


async def test_what_calls_do_without_is_said_and_keeps_nobody_away(http: HttpServer) -> None:
    """A live view that is not whole is named; calls may still be sent here."""

    async def lost() -> None:
        raise StoreError("Redis does not answer")

    http.advice["live_events"] = lost
    found = await http.json("GET", "/readyz", tenant=None)
    assert found["ready"] is True
    assert found["checks"]["live_events"] == {"ok": False, "message": "Redis does not answer", "needed": False}


async def test_a_check_that_hangs_does_not_hang_the_answer(http: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up after a moment and named."""
    monkeypatch.setattr("bridge.web.health.CHECK_TIMEOUT_S", 0.05)
    http.checks["stuck"] = asyncio.Event().wait
    found = await http.json("GET", "/readyz", tenant=None, status=503)
    assert found["checks"]["stuck"] == {"ok": False, "message": "no answer within 0.05 s", "needed": True}


async def test_a_leaving_server_is_alive_and_not_ready(http: HttpServer) -> None:
    """Balancers stop sending calls; whoever reads is still served."""
    http.context.leaving.set()
    assert (await http.json("GET", "/readyz", tenant=None, status=503))["checks"]["server"]["ok"] is False
    await http.json("GET", "/healthz", tenant=None)
    await http.json("GET", "/v1/calls")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param("/healthz", 200, id="monitor"),
        pytest.param("/", 200, id="page"),
        pytest.param("/v1/calls", 200, id="list"),
        pytest.param("/v1/events", 405, id="live-stream"),
        pytest.param("/v1/calls/one/events", 405, id="live-call"),
    ],
)
async def test_head_answers_wherever_get_comes_to_an_end(http: HttpServer, path: str, status: int) -> None:
    """A monitor that asks for headers alone is answered, and never left hanging on a stream without a body."""
    assert (await http.ask("HEAD", path)).status == status
