"""Events as they happen: Server-Sent Events and WebSocket, at the reader's pace and never at the call's cost.

Feeds are pulled: a subscriber that reads slowly only falls behind itself. One that takes nothing for
`Context.patience_s` is cut, and comes back for what it missed with `Last-Event-ID` or `?after=`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from enum import Enum
from typing import Any, Final, Protocol

from aiohttp import WSCloseCode, hdrs, web
from pydantic import Field

from bridge.errors import InvalidRequestError
from bridge.metrics import SUBSCRIBERS, SUBSCRIBERS_CUT
from bridge.model.events import Event
from bridge.ports import Clock
from bridge.web.auth import Scope
from bridge.web.route import Answer, Ask, Incoming, Nothing, Route

KEEP_ALIVE_S: Final = 15
"""Below the 30 s after which the first proxies on the way give up on a quiet connection."""

RETRY_MS: Final = 2000
"""How long a browser's EventSource waits before it comes back."""

FAREWELL_S: Final = 2
MAX_CLIENT_MESSAGE: Final = 4096
"""Bytes. Subscribers have nothing to say; what they say is read and dropped."""

SSE_HEADERS: Final = {
    hdrs.CONTENT_TYPE: "text/event-stream; charset=utf-8",
    hdrs.CACHE_CONTROL: "no-store",
    "X-Accel-Buffering": "no",  # nginx would hold events back until its buffer is full
}


class After(Incoming):
    after: int = Field(default=0, ge=0, description="`seq` of the last event seen; what follows it comes, none missing")


class End(Enum):
    """Why a live stream stops."""

    SETTLED = "the call is over and its text settled"
    LEFT = "the subscriber has gone"
    SLOW = "too slow"
    CLOSING = "server closing"


class Subscriber(Protocol):
    """One open connection that events are written to."""

    transport: str

    async def open(self) -> None: ...

    async def send(self, event: Event) -> None:
        """Raises ConnectionError when the other side has gone. Waits while its buffers are full."""
        ...

    async def attend(self) -> End:
        """Keep the connection in good health; returns when it is lost."""
        ...

    async def part(self, end: End, resume: int) -> None:
        """Say goodbye as far as the connection still allows. `resume` is the last `seq` sent."""
        ...


class SseSubscriber:
    """A response that never ends by itself. Events carry `seq` as their id where a reader can resume."""

    transport = "sse"

    def __init__(self, request: web.Request, clock: Clock, *, resumable: bool) -> None:
        self._request = request
        self._clock = clock
        self._resumable = resumable
        self.response = web.StreamResponse(headers=SSE_HEADERS)

    async def open(self) -> None:
        await self.response.prepare(self._request)
        await self.response.write(f"retry: {RETRY_MS}\n\n".encode())

    async def send(self, event: Event) -> None:
        place = f"id: {event.seq}\n" if self._resumable else ""
        await self.response.write(f"{place}data: {event.to_json()}\n\n".encode())

    async def attend(self) -> End:
        with suppress(ConnectionError):
            while True:
                await self._clock.sleep(KEEP_ALIVE_S)
                await self.response.write(b": still here\n\n")
        return End.LEFT

    async def part(self, end: End, resume: int) -> None:
        del resume  # EventSource knows it as Last-Event-ID
        if end is End.SLOW:
            _abort(self._request)


class SocketSubscriber:
    """A WebSocket: one JSON text message an event, in one direction."""

    transport = "websocket"

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self.response = web.WebSocketResponse(
            heartbeat=KEEP_ALIVE_S,
            timeout=FAREWELL_S,
            max_msg_size=MAX_CLIENT_MESSAGE,
            compress=False,  # a deflate window a subscriber costs more memory than captions cost bandwidth
        )

    async def open(self) -> None:
        await self.response.prepare(self._request)

    async def send(self, event: Event) -> None:
        await self.response.send_str(event.to_json())

    async def attend(self) -> End:
        async for _ in self.response:
            pass
        return End.LEFT

    async def part(self, end: End, resume: int) -> None:
        codes = {
            End.SETTLED: WSCloseCode.OK,
            End.CLOSING: WSCloseCode.GOING_AWAY,
            End.SLOW: WSCloseCode.TRY_AGAIN_LATER,
            End.LEFT: WSCloseCode.OK,
        }
        reason = end.value if end is End.SETTLED else f"{end.value}: resume with after={resume}"
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self.response.close(code=codes[end], message=reason.encode())
        except (TimeoutError, ConnectionError):
            _abort(self._request)


async def call_events(ask: Ask[After, Nothing]) -> web.StreamResponse:
    call_id = ask.path("call_id")
    call = await ask.context.store.call(ask.tenant, call_id)
    seen = _last_event_id(ask.request)
    if seen is not None and call.settled and seen >= call.last_seq:
        # Only EventSource sends the header, when it comes back by itself. 204 is how it is told to stop.
        return web.Response(status=204)
    after = ask.query.after if seen is None else seen
    subscriber = SseSubscriber(ask.request, ask.context.clock, resumable=True)
    return await _follow(ask, subscriber, ask.context.feed.call(ask.tenant, call_id, after=after), after)


async def call_live(ask: Ask[After, Nothing]) -> web.StreamResponse:
    call_id, after = ask.path("call_id"), ask.query.after
    await ask.context.store.call(ask.tenant, call_id)
    subscriber = SocketSubscriber(_upgrading(ask.request))
    return await _follow(ask, subscriber, ask.context.feed.call(ask.tenant, call_id, after=after), after)


async def tenant_events(ask: Ask[Nothing, Nothing]) -> web.StreamResponse:
    subscriber: SseSubscriber | SocketSubscriber
    if ask.request.headers.get(hdrs.UPGRADE, "").lower() == "websocket":
        subscriber = SocketSubscriber(ask.request)
    else:
        subscriber = SseSubscriber(ask.request, ask.context.clock, resumable=False)
    return await _follow(ask, subscriber, ask.context.feed.tenant(ask.tenant), 0)


async def _follow(
    ask: Ask[Any, Any], subscriber: SseSubscriber | SocketSubscriber, events: AsyncIterator[Event], after: int
) -> web.StreamResponse:
    """Write `events` to `subscriber` until the feed ends, it leaves, it stalls, or the server closes."""
    sent = after

    async def tell() -> End:
        nonlocal sent
        async for event in events:
            try:
                async with asyncio.timeout(ask.context.patience_s):
                    await subscriber.send(event)
            except TimeoutError:
                return End.SLOW
            except ConnectionError:
                return End.LEFT
            sent = event.seq
        return End.SETTLED

    async def close() -> End:
        await ask.context.closing.wait()
        return End.CLOSING

    with SUBSCRIBERS.labels(subscriber.transport).track_inprogress():
        await subscriber.open()
        end = await _first(tell(), subscriber.attend(), close())
        if end is End.SLOW:
            SUBSCRIBERS_CUT.labels(subscriber.transport).inc()
        await subscriber.part(end, sent)
    return subscriber.response


async def _first(*stories: Coroutine[Any, Any, End]) -> End:
    """Run all until one comes to its end; the others are cancelled and waited for."""
    tasks = [asyncio.create_task(story) for story in stories]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return done.pop().result()


def _last_event_id(request: web.Request) -> int | None:
    given = request.headers.get("Last-Event-ID")
    if not given:
        return None
    if not given.isascii() or not given.isdigit():
        raise InvalidRequestError(
            "Last-Event-ID is not a seq",
            fields=[{"field": "Last-Event-ID", "in": "header", "message": "must be a whole number"}],
        )
    return int(given)


def _upgrading(request: web.Request) -> web.Request:
    """Raises InvalidRequestError when this is no WebSocket handshake, before anything is sent."""
    if request.headers.get(hdrs.UPGRADE, "").lower() != "websocket":
        raise InvalidRequestError("this path is a WebSocket; /events is the same as Server-Sent Events")
    return request


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


EVENT_STREAM: Final = ("text/event-stream",)
SWITCHED: Final = Answer(description="a WebSocket: one event a text message", status=101, media_types=())

ROUTES: Final = (
    Route(
        method=hdrs.METH_GET,
        path="/v1/calls/{call_id}/events",
        handler=call_events,
        scope=Scope.CALLS_READ,
        summary="A call's events as Server-Sent Events; `Last-Event-ID` or `after` resumes with nothing missing",
        tag="events",
        query=After,
        answers=(
            Answer(description="one event a `data` line, `id` is its seq", media_types=EVENT_STREAM),
            Answer(description="nothing more will come after `Last-Event-ID`", status=204, media_types=()),
        ),
    ),
    Route(
        method=hdrs.METH_GET,
        path="/v1/calls/{call_id}/live",
        handler=call_live,
        scope=Scope.CALLS_READ,
        summary="A call's events over a WebSocket",
        tag="events",
        query=After,
        answers=(SWITCHED,),
    ),
    Route(
        method=hdrs.METH_GET,
        path="/v1/events",
        handler=tenant_events,
        scope=Scope.CALLS_READ,
        summary="Events of all calls from now on, as Server-Sent Events or over a WebSocket",
        tag="events",
        answers=(Answer(description="one event a `data` line", media_types=EVENT_STREAM), SWITCHED),
    ),
)
