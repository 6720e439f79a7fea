"""Events as they happen: Server-Sent Events and WebSocket, at the reader's pace and never at the call's cost.

Feeds are pulled: a subscriber that reads slowly only falls behind itself. One that takes nothing for
`Context.patience_s` is cut, and comes back for what it missed with `Last-Event-ID` or `?after=`.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import Final

import structlog
from aiohttp import hdrs, web
from pydantic import Field

from bridge.errors import BridgeError, InvalidRequestError, SlowReaderError
from bridge.metrics import SUBSCRIBERS, SUBSCRIBERS_CUT
from bridge.model.records import CallRecord
from bridge.web.audience import AUDIENCES, Reader
from bridge.web.auth import Scope
from bridge.web.context import Context
from bridge.web.drain import first_of
from bridge.web.route import Answer, Ask, Incoming, Nothing, Route
from bridge.web.subscribers import End, SocketSubscriber, SseSubscriber, Subscriber

log = structlog.get_logger(__name__)


SEQ: Final = re.compile("[0-9]{1,10}")
LAST_SEQ: Final = 2**31 - 1
"""What a column holds; a call of a thousand events a second reaches it in 24 days."""


class After(Incoming):
    after: int = Field(
        default=0, ge=0, le=LAST_SEQ, description="`seq` of the last event seen; what follows it comes, none missing"
    )


async def call_events(ask: Ask[After, Nothing]) -> web.StreamResponse:
    call = await ask.context.store.call(ask.tenant, ask.path("call_id"))
    seen = _last_event_id(ask.request)
    if seen is not None and call.settled and seen >= call.last_seq:
        # Only EventSource sends the header, when it comes back by itself. 204 is how it is told to stop.
        return web.Response(status=204)
    subscriber = SseSubscriber(ask.request, ask.context.clock, resumable=True)
    await _follow_call(ask, subscriber, call, ask.query.after if seen is None else seen)
    return subscriber.response


async def call_live(ask: Ask[After, Nothing]) -> web.StreamResponse:
    if not _is_upgrade(ask.request):
        raise InvalidRequestError("this path is a WebSocket; …/events has the same as Server-Sent Events")
    call = await ask.context.store.call(ask.tenant, ask.path("call_id"))
    subscriber = SocketSubscriber(ask.request)
    await _follow_call(ask, subscriber, call, ask.query.after)
    return subscriber.response


async def tenant_events(ask: Ask[Nothing, Nothing]) -> web.StreamResponse:
    subscriber: SseSubscriber | SocketSubscriber
    if _is_upgrade(ask.request):
        subscriber = SocketSubscriber(ask.request)
    else:
        subscriber = SseSubscriber(ask.request, ask.context.clock, resumable=False)
    reader = Reader(subscriber, ask.context.patience_s)

    async def tell() -> None:
        async with aclosing(ask.context.feed.tenant(ask.tenant)) as events:
            async for event in events:
                await reader.take(event)

    with ask.limits.reader(ask.tenant):
        await _follow(ask.context, subscriber, tell)
    return subscriber.response


async def _follow_call(ask: Ask[After, Nothing], subscriber: Subscriber, call: CallRecord, after: int) -> None:
    reader = Reader(subscriber, ask.context.patience_s, after)
    tell = partial(ask.request.app[AUDIENCES].follow, call.key, reader, call.last_seq)
    with ask.limits.reader(ask.tenant):
        await _follow(ask.context, subscriber, tell, reader)


async def _follow(
    context: Context, subscriber: Subscriber, tell: Callable[[], Awaitable[None]], resuming: Reader | None = None
) -> None:
    """Until `tell` has told all, the subscriber leaves, it stalls, or the server closes. `resuming` can come back to
    where it was.
    """

    async def told() -> End:
        try:
            await tell()
        except ConnectionError:
            return End.LEFT
        except (TimeoutError, SlowReaderError):
            return End.SLOW
        except BridgeError as error:  # the answer has begun: no status can say it any more
            log.warning("live stream broken off", code=error.code, reason=error.message)
            return End.FAILED
        return End.SETTLED

    async def close() -> End:
        await context.closing.wait()
        return End.CLOSING

    with SUBSCRIBERS.labels(subscriber.transport).track_inprogress():
        await subscriber.open()
        end: End = await first_of(told(), subscriber.attend(), close())
        if end is End.SLOW:
            SUBSCRIBERS_CUT.labels(subscriber.transport).inc()
        await subscriber.part(end, None if resuming is None else resuming.seen)


def _last_event_id(request: web.Request) -> int | None:
    given = request.headers.get("Last-Event-ID")
    if not given:
        return None
    if not SEQ.fullmatch(given) or int(given) > LAST_SEQ:
        raise InvalidRequestError("Last-Event-ID is not a seq", fields={"Last-Event-ID": "must be a whole number"})
    return int(given)


def _is_upgrade(request: web.Request) -> bool:
    return request.headers.get(hdrs.UPGRADE, "").lower() == "websocket"


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
