"""Live events over SSE and WebSocket: resumed with nothing missing, at nobody's cost."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import aiohttp
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType

from bridge import metrics
from bridge.ports import Store
from bridge.settings import Settings
from bridge.web.auth import Scope
from tests.clock import VirtualClock
from tests.http_server import PATIENCE_S, HttpServer, until
from tests.story import ended, final, partial, started

TEXTS = ["hello there", "who is calling", "good bye"]


async def begin(http: HttpServer, call_id: str = "one", tenant: str = "acme") -> None:
    """A call with two finals so far: events 1 to 3."""
    await http.tell(call_id, started(), final(1, TEXTS[0]), final(2, TEXTS[1]), tenant=tenant, last_seq=0)


async def finish(http: HttpServer, call_id: str = "one") -> None:
    """One more final, the end (events 4 and 5), and the text settled."""
    await http.tell(call_id, final(3, TEXTS[2]), ended())
    await http.settle(call_id)


async def messages(stream: ClientWebSocketResponse) -> list[dict[str, Any]]:
    """Everything until the socket closes."""
    found = []
    async with asyncio.timeout(PATIENCE_S):
        async for message in stream:
            assert message.type is WSMsgType.TEXT
            found.append(json.loads(message.data))
    return found


def seqs(events: list[dict[str, Any]]) -> list[int]:
    return [event["seq"] for event in events]


async def test_sse_tells_a_call_from_its_beginning_to_its_settled_end(http: HttpServer) -> None:
    """What was before the subscriber and what comes while it reads are one row; then the stream ends."""
    await begin(http)
    async with http.sse("/v1/calls/one/events") as reader:
        assert reader.response.content_type == "text/event-stream"
        assert reader.response.headers["X-Accel-Buffering"] == "no"
        assert [(await reader.event() or {})["seq"] for _ in range(3)] == [1, 2, 3]
        await finish(http)
        rest = await reader.rest()
    assert seqs(rest) == [4, 5]
    assert [event["type"] for event in rest] == ["transcript.final", "call.ended"]


async def test_a_websocket_tells_the_same_objects(http: HttpServer) -> None:
    """SSE and WebSocket differ in the envelope alone; the socket closes with 1000 when nothing more can come."""
    await begin(http)
    async with http.socket("/v1/calls/one/live") as live_socket:
        await finish(http)
        live = await messages(live_socket)
    assert live_socket.close_code == 1000
    async with http.sse("/v1/calls/one/events") as reader:
        assert await reader.rest() == live
    assert seqs(live) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("after", range(6))
async def test_resuming_anywhere_misses_and_repeats_nothing(http: HttpServer, after: int) -> None:
    """`?after=`, `Last-Event-ID` and the WebSocket all go on exactly behind what was seen."""
    await begin(http)
    await finish(http)
    wanted = list(range(after + 1, 6))
    async with http.sse(f"/v1/calls/one/events?after={after}") as reader:
        assert seqs(await reader.rest()) == wanted
    async with http.socket(f"/v1/calls/one/live?after={after}") as live_socket:
        assert seqs(await messages(live_socket)) == wanted
    async with http.sse("/v1/calls/one/events?after=0", headers={"Last-Event-ID": str(after)}) as reader:
        # An EventSource keeps its URL when it comes back: the header is newer. It stops coming when told 204.
        assert reader.response.status == (204 if after == 5 else 200)
        assert seqs(await reader.rest()) == wanted


async def test_a_reader_that_is_cut_at_every_event_sees_each_once(http: HttpServer) -> None:
    """Connection after connection, each with the last seq seen, adds up to the whole call."""
    await begin(http)
    seen: list[int] = []
    for number in range(5):
        if number == 3:
            await finish(http)
        async with http.sse("/v1/calls/one/events", headers={"Last-Event-ID": str(seen[-1] if seen else 0)}) as reader:
            seen.append((await reader.event() or {})["seq"])
    assert seen == [1, 2, 3, 4, 5]


async def test_partials_are_shown_live(http: HttpServer) -> None:
    """What may still change is told as it comes."""
    await begin(http)
    async with http.sse("/v1/calls/one/events?after=3") as reader:
        await http.tell("one", partial(3, "good"))
        await http.clock.advance(1)  # partials wait for company
        event = await reader.event()
    assert event is not None
    assert (event["type"], event["text"], event["stable_text"]) == ("transcript.partial", "good", "")


@pytest.mark.parametrize("transport", ["sse", "websocket"])
async def test_the_tenants_stream_has_all_its_calls_and_no_others(http: HttpServer, transport: str) -> None:
    """One connection follows every call of the tenant, from now on, on one path for both transports."""
    await begin(http, "before")

    async def tell() -> None:
        await begin(http, "theirs", tenant="rival")
        await begin(http, "ours")

    if transport == "sse":
        async with http.sse("/v1/events") as reader:
            await reader.block()  # the stream is open
            await until(lambda: "acme" in http.hub._tenants)
            await tell()
            found = [await reader.event() or {} for _ in range(3)]
    else:
        async with http.socket("/v1/events") as live_socket:
            await until(lambda: "acme" in http.hub._tenants)
            await tell()
            found = [await live_socket.receive_json(timeout=PATIENCE_S) for _ in range(3)]
    assert [(event["call_id"], event["seq"]) for event in found] == [("ours", 1), ("ours", 2), ("ours", 3)]


async def test_a_quiet_stream_is_kept_alive(http: HttpServer) -> None:
    """A comment every 15 s, which readers ignore and proxies count as life."""
    await begin(http)
    async with http.sse("/v1/calls/one/events?after=3") as reader:
        assert await reader.block() == {"retry": "2000"}
        sleeping = http.clock.sleeping
        for _ in range(2):
            await http.clock.advance(15)
            assert await reader.block() == {"": "still here"}
        assert http.clock.sleeping == sleeping


@pytest.mark.parametrize("path", ["/v1/calls/none/events", "/v1/calls/none/live"])
async def test_an_unknown_call_is_404_before_the_stream_begins(http: HttpServer, path: str) -> None:
    """A reader is told by status, not by an empty stream."""
    headers = {"Upgrade": "websocket", "Connection": "Upgrade"} if path.endswith("live") else {}
    assert (await http.fault("GET", path, status=404, headers=headers))["code"] == "not_found"


@pytest.mark.parametrize(
    ("path", "headers", "field"),
    [
        pytest.param("/v1/calls/one/events?after=-1", {}, "after", id="negative"),
        pytest.param("/v1/calls/one/events?after=last", {}, "after", id="no-number"),
        pytest.param("/v1/calls/one/events", {"Last-Event-ID": "evt_1"}, "Last-Event-ID", id="header-no-number"),
        pytest.param("/v1/calls/one/events", {"Last-Event-ID": "²"}, "Last-Event-ID", id="header-odd-digit"),
    ],
)
async def test_a_place_that_is_none_is_refused(
    http: HttpServer, path: str, headers: dict[str, str], field: str
) -> None:
    """Resuming at nonsense would silently lose or repeat events."""
    await begin(http)
    error = await http.fault("GET", path, status=422, headers=headers)
    assert list(error["details"]["fields"]) == [field]


async def test_a_plain_request_to_the_websocket_says_where_to_go(http: HttpServer) -> None:
    """No handshake, no stream: the answer names the path that would do."""
    await begin(http)
    assert "/events" in (await http.fault("GET", "/v1/calls/one/live", status=422))["message"]


async def test_a_browser_comes_in_with_a_token_in_the_url(http: HttpServer) -> None:
    """EventSource and WebSocket cannot set headers: a token will do, with the right scope; a key will not."""
    await begin(http)
    await finish(http)
    good, wrong = http.token(Scope.CALLS_READ), http.token(Scope.MEDIA)
    async with http.sse(f"/v1/calls/one/events?token={good}", tenant=None) as reader:
        assert seqs(await reader.rest()) == [1, 2, 3, 4, 5]
    async with http.socket(f"/v1/calls/one/live?token={good}&after=4", tenant=None) as live_socket:
        assert seqs(await messages(live_socket)) == [5]
    assert (await http.fault("GET", f"/v1/events?token={wrong}", tenant=None, status=403))["code"] == "forbidden"
    await http.fault("GET", f"/v1/events?token={http.keys['acme']}", tenant=None, status=401)


async def test_what_a_subscriber_says_is_not_listened_to(http: HttpServer) -> None:
    """Messages are dropped, and one that is too long ends that socket alone."""
    await begin(http)
    async with http.socket("/v1/calls/one/live?after=3") as chatty, http.socket("/v1/calls/one/live?after=3") as quiet:
        await chatty.send_str('{"type":"call.ended"}')
        await chatty.send_bytes(b"x" * 100)
        await chatty.send_str("x" * 5000)
        async with asyncio.timeout(PATIENCE_S):
            assert (await chatty.receive()).type is WSMsgType.CLOSE
        await finish(http)
        assert seqs(await messages(quiet)) == [4, 5]


async def test_a_subscriber_that_leaves_is_forgotten(http: HttpServer) -> None:
    """Nothing of it stays: no task, no count, no reader in the hub."""
    await begin(http)
    watching = metrics.SUBSCRIBERS.labels("websocket")
    before = watching._value.get()
    tasks = len(asyncio.all_tasks())
    async with http.socket("/v1/calls/one/live"):
        assert watching._value.get() == before + 1
    await until(lambda: watching._value.get() == before and len(asyncio.all_tasks()) <= tasks + 1)


async def test_live_readers_are_sent_away_when_the_server_closes(http: HttpServer) -> None:
    """1001 with the seq to come back with; an SSE stream simply ends, and its reader comes back by itself."""
    await begin(http)
    async with http.socket("/v1/calls/one/live") as live_socket, http.sse("/v1/calls/one/events") as reader:
        for _ in range(3):
            await live_socket.receive_json(timeout=PATIENCE_S)
            await reader.event()
        http.context.closing.set()
        message = await live_socket.receive(timeout=PATIENCE_S)
        assert (message.type, message.data, message.extra) == (
            WSMsgType.CLOSE,
            1001,
            "the server is closing: resume with after=3",
        )
        assert await reader.event() is None


@pytest.fixture
async def impatient(sqlite_store: Store, clock: VirtualClock) -> AsyncIterator[HttpServer]:
    """A server that waits a fifth of a second for a reader to take an event."""
    async with HttpServer(sqlite_store, clock, Settings(), patience_s=0.2) as server:
        yield server


@pytest.mark.parametrize("transport", ["sse", "websocket"])
async def test_a_reader_that_stalls_is_cut_and_holds_up_nobody(impatient: HttpServer, transport: str) -> None:
    """Events go on being kept while it stalls; it alone is cut, is counted, and can come back for all it missed."""
    http = impatient
    await begin(http)
    cut = metrics.SUBSCRIBERS_CUT.labels(transport)
    before = cut._value.get()
    path = "/v1/calls/one/live" if transport == "websocket" else "/v1/calls/one/events"
    stalled = await stalling_reader(http, path, transport)
    text = "x" * 200_000
    number = 3
    async with asyncio.timeout(30):
        while cut._value.get() == before:
            async with asyncio.timeout(PATIENCE_S):  # a call is never held up
                await http.tell("one", final(number, text))
            number += 1
            await asyncio.sleep(0.001)
    stalled.close()
    await http.tell("one", ended())
    await http.settle("one")
    async with http.sse("/v1/calls/one/events?after=3") as reader:
        events = await reader.rest()
    assert seqs(events) == list(range(4, number + 2))


async def stalling_reader(http: HttpServer, path: str, transport: str) -> asyncio.StreamWriter:
    """A client that asks and then reads nothing at all."""
    host, port = http.url.removeprefix("http://").split(":")
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # before connecting: it bounds what the kernel takes
    small.setblocking(False)
    await asyncio.get_running_loop().sock_connect(small, (host, int(port)))
    _, writer = await asyncio.open_connection(sock=small)
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", f"Authorization: Bearer {http.keys['acme']}"]
    if transport == "websocket":
        lines += [
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    await writer.drain()
    writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport can
    return writer


async def test_a_call_deleted_under_its_reader_ends_the_stream(http: HttpServer) -> None:
    """The answer has begun, so it ends; coming back, the reader is told 404."""
    await begin(http)
    async with http.socket("/v1/calls/one/live?after=3") as live_socket:
        await http.tell("one", ended())
        await live_socket.receive_json(timeout=PATIENCE_S)
        await http.settle("one")
        assert await messages(live_socket) == []
    await http.ask("DELETE", "/v1/calls/one")
    with suppress(aiohttp.WSServerHandshakeError):
        async with http.socket("/v1/calls/one/live"):
            pytest.fail("a deleted call was streamed")
