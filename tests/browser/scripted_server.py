"""A small server for the live page: the contract's endpoints over calls that a test tells event by event.

It answers in the real routes' own shapes, keeps no database and needs no model. It can do on command what a real
server does only in bad moments: cut every connection, refuse a key that was good, fall silent for a while.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

from bridge.captions import as_srt, as_text, as_vtt
from bridge.model.events import (
    Body,
    CallEnded,
    CallStarted,
    Event,
    TranscriptFinal,
    TranscriptRevised,
)
from bridge.model.records import CallRecord, CallStatus, Delivery, DeliveryStatus, Endpoint
from bridge.model.words import Segment
from bridge.web.calls import CallOut, CallPage
from bridge.web.deliveries import DeliveryOut, DeliveryPage
from bridge.web.pages import POLICY, STATIC
from bridge.web.route import Outgoing
from bridge.web.webhooks import EndpointList, EndpointOut

TENANT = "default"
KEY = "cbk_a-key-for-tests"

T = TypeVar("T")


class ScriptedServer:
    """Runs in a thread of its own, because a browser's driver blocks; `tell` and the rest are called from a test."""

    def __init__(self, *, key: str | None = None, page: int = 25) -> None:
        self.key = key
        self.endpoints: list[Endpoint] = []
        self.deliveries: list[Delivery] = []
        self.connections = 0
        """Live feeds opened so far."""
        self.lists_held = 0
        """Lists of calls read and not yet answered."""
        self._page = page
        self._away = False
        self._partings = 0
        self._free_to_list = asyncio.Event()
        self._free_to_list.set()
        self._records: dict[str, CallRecord] = {}
        self._events: dict[str, list[Event]] = {}
        self._segments: dict[str, dict[tuple[str, int], Segment]] = {}
        self._all: list[Event] = []
        self._open: set[asyncio.Transport] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def watching(self) -> int:
        """Live feeds open now."""
        return sum(not transport.is_closing() for transport in self._open)

    def start(self) -> None:
        self._thread.start()
        self._do(self._listen())

    def stop(self) -> None:
        self._do(self._leave())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # -- what a test says happens ----------------------------------------------------------------------------------

    def begin(self, call_id: str, started: CallStarted, *, ago_s: float = 0) -> None:
        """A call comes in, or came in `ago_s` seconds ago."""
        self._do(self._begin(call_id, started, time.time() - ago_s))

    def tell(self, call_id: str, body: Body) -> int:
        """Something happens in a call; returns its `seq`."""
        return self._do(self._tell(call_id, body))

    def settle(self, call_id: str) -> None:
        """The text of an ended call stands: its feeds end."""
        self._do(self._settle(call_id))

    def cut(self) -> None:
        """Every live connection breaks off in the middle, as when a phone loses its network."""
        self._do(self._cut())

    def part(self) -> None:
        """Every live feed ends in good order, as when a server is restarted."""
        self._do(self._part())

    def hold_lists(self, held: bool) -> None:
        """While held, lists of calls are read as they stand and answered only when let go."""
        self._do(self._hold(held))

    def away(self, away: bool) -> None:
        """While away, every request but the page's own files is refused with 503."""
        self._away = away

    # -- on the loop -----------------------------------------------------------------------------------------------

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._told = asyncio.Condition()
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/", self._index)
        app.router.add_static("/static", STATIC)
        app.router.add_get("/v1/calls", self._list)
        app.router.add_get("/v1/calls/{call_id}", self._get)
        app.router.add_get("/v1/calls/{call_id}/transcript", self._transcript)
        app.router.add_get("/v1/calls/{call_id}/events", self._call_feed)
        app.router.add_get("/v1/events", self._tenant_feed)
        app.router.add_get("/v1/webhooks", self._webhooks)
        app.router.add_get("/v1/webhooks/{id}/deliveries", self._webhook_deliveries)
        app.router.add_post("/v1/deliveries/{id}/redeliver", self._redeliver)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/"

    async def _leave(self) -> None:
        await self._cut()
        await self._runner.cleanup()

    async def _begin(self, call_id: str, started: CallStarted, at: float) -> None:
        self._records[call_id] = CallRecord(
            call_id=call_id,
            tenant=TENANT,
            carrier=started.carrier,
            carrier_call_id=started.carrier_call_id,
            legs=started.legs,
            codec=started.codec,
            sample_rate=started.sample_rate,
            metadata=started.metadata,
            status=CallStatus.IN_PROGRESS,
            started_at=at,
        )
        self._events[call_id] = []
        self._segments[call_id] = {}
        await self._tell(call_id, started)

    async def _tell(self, call_id: str, body: Body) -> int:
        events, record = self._events[call_id], self._records[call_id]
        seq = len(events) + 1
        # An event's time follows from its place in the audio, so that a call told at once is as long as it says.
        at_ms = next((value for name in ("end_ms", "at_ms") if (value := getattr(body, name, None)) is not None), 0)
        when = max(record.started_at + at_ms / 1000, events[-1].time if events else 0)
        event = Event(id=f"evt_{call_id}_{seq}", seq=seq, call_id=call_id, tenant=TENANT, time=when, body=body)
        events.append(event)
        self._all.append(event)
        self._records[call_id] = replace(record, last_seq=seq)
        self._keep(call_id, body)
        async with self._told:
            self._told.notify_all()
        return seq

    def _keep(self, call_id: str, body: Body) -> None:
        segments = self._segments[call_id]
        match body:
            case TranscriptFinal():
                segments[body.leg, body.segment] = body.as_segment()
            case TranscriptRevised():
                for number in body.replaces:
                    segments.pop((body.leg, number), None)
                segments.update({(found.leg, found.segment): found for found in body.segments})
            case CallEnded():
                record = self._records[call_id]
                self._records[call_id] = replace(
                    record,
                    status=CallStatus.FAILED if body.reason == "error" else CallStatus.COMPLETED,
                    ended_at=record.started_at + body.duration_ms / 1000,
                    duration_ms=body.duration_ms,
                    reason=body.reason,
                    error=body.error,
                )
            case _:
                pass

    async def _settle(self, call_id: str) -> None:
        self._records[call_id] = replace(self._records[call_id], settled=True)
        async with self._told:
            self._told.notify_all()

    async def _cut(self) -> None:
        for transport in list(self._open):
            transport.abort()

    async def _part(self) -> None:
        self._partings += 1
        async with self._told:
            self._told.notify_all()

    async def _hold(self, held: bool) -> None:
        if held:
            self._free_to_list.clear()
        else:
            self._free_to_list.set()

    # -- answers ---------------------------------------------------------------------------------------------------

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.startswith("/v1/"):
            return await handler(request)
        if self._away:
            return _problem(503, "store_failed", "the database is away")
        if self.key is not None and request.headers.get("Authorization") != f"Bearer {self.key}":
            return _problem(401, "unauthorised", "send an API key or a token as 'Authorization: Bearer …'")
        if "call_id" in request.match_info and request.match_info["call_id"] not in self._records:
            return _problem(404, "not_found", "no such call")
        return await handler(request)

    async def _index(self, _request: web.Request) -> web.StreamResponse:
        return web.FileResponse(STATIC / "index.html", headers={"Content-Security-Policy": POLICY})

    async def _list(self, request: web.Request) -> web.StreamResponse:
        wanted = sorted(self._records.values(), key=lambda record: record.started_at, reverse=True)
        if status := request.query.get("status"):
            wanted = [record for record in wanted if record.status == status]
        if text := request.query.get("text"):
            wanted = [record for record in wanted if text.lower() in self._text(record.call_id).lower()]
        start = int(request.query.get("cursor", "0"))
        end = start + min(self._page, int(request.query.get("limit", "50")))
        page = CallPage(
            calls=tuple(CallOut.of(record) for record in wanted[start:end]),
            cursor=str(end) if end < len(wanted) else None,
        )
        self.lists_held += 1
        await self._free_to_list.wait()
        self.lists_held -= 1
        return _answer(page)

    def _text(self, call_id: str) -> str:
        return as_text(self._in_order(call_id))

    def _in_order(self, call_id: str) -> list[Segment]:
        return sorted(self._segments[call_id].values(), key=lambda segment: segment.start_ms)

    async def _get(self, request: web.Request) -> web.StreamResponse:
        return _answer(CallOut.of(self._records[request.match_info["call_id"]]))

    async def _transcript(self, request: web.Request) -> web.StreamResponse:
        segments = self._in_order(request.match_info["call_id"])
        form = request.query.get("format", "json")
        if form == "json":
            return web.json_response({"text": as_text(segments), "segments": [segment.text for segment in segments]})
        write = {"txt": as_text, "srt": as_srt, "vtt": as_vtt}[form]
        return web.Response(text=write(segments), content_type="text/plain")

    async def _webhooks(self, _request: web.Request) -> web.StreamResponse:
        return _answer(EndpointList(webhooks=tuple(EndpointOut.of(endpoint) for endpoint in self.endpoints)))

    async def _webhook_deliveries(self, request: web.Request) -> web.StreamResponse:
        about = (request.match_info["id"], request.query["call_id"])
        wanted = [found for found in self.deliveries if (found.endpoint_id, found.call_id) == about]
        return _answer(DeliveryPage(deliveries=tuple(map(DeliveryOut.of, wanted)), cursor=None))

    async def _redeliver(self, request: web.Request) -> web.StreamResponse:
        [place] = [n for n, found in enumerate(self.deliveries) if found.id == request.match_info["id"]]
        self.deliveries[place] = replace(self.deliveries[place], status=DeliveryStatus.PENDING, due_at=time.time())
        return _answer(DeliveryOut.of(self.deliveries[place]), status=202)

    async def _call_feed(self, request: web.Request) -> web.StreamResponse:
        call_id = request.match_info["call_id"]
        after = int(request.query.get("after", "0"))
        return await self._feed(request, self._events[call_id], after, lambda: self._records[call_id].settled)

    async def _tenant_feed(self, request: web.Request) -> web.StreamResponse:
        return await self._feed(request, self._all, len(self._all), lambda: False)

    async def _feed(
        self, request: web.Request, events: list[Event], after: int, settled: Callable[[], bool]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        transport = request.transport
        if transport is None:
            return response
        self.connections += 1
        partings = self._partings
        self._open.add(transport)
        try:
            await response.write(b"retry: 2000\n\n")
            while True:
                for event in events[after:]:
                    await response.write(f"id: {event.seq}\ndata: {event.to_json()}\n\n".encode())
                after = len(events)
                if settled() or self._partings > partings:
                    return response
                async with self._told:
                    await self._told.wait_for(lambda: len(events) > after or settled() or self._partings > partings)  # noqa: B023
        except ConnectionError:
            return response
        finally:
            self._open.discard(transport)


def _answer(body: Outgoing, *, status: int = 200) -> web.Response:
    return web.Response(text=body.model_dump_json(), status=status, content_type="application/json")


def _problem(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message, "type": "x", "details": {}}}, status=status)
