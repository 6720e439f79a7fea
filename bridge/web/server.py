"""The aiohttp application: the table of routes, and what surrounds them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from typing import Any, Final

from aiohttp import web

from bridge.errors import SetupError
from bridge.web import (
    audiosocket,
    calls,
    deliveries,
    health,
    keys,
    languages,
    live,
    media,
    pages,
    rtp,
    speakers,
    talk,
    transcriptions,
    webhooks,
    whip,
)
from bridge.web.audience import AUDIENCES, Audiences
from bridge.web.context import CONTEXT, Context
from bridge.web.drain import until_idle
from bridge.web.limits import LIMITS, Limits
from bridge.web.observe import observe, shut_doors
from bridge.web.openapi import document
from bridge.web.problems import answer_problems
from bridge.web.route import MAX_BODY, Route
from bridge.web.rtp_calls import RTP_CALLS, RtpCalls
from bridge.web.voice import routes as voice

TABLE: Final[tuple[Route[Any, Any], ...]] = (
    *calls.ROUTES,
    *live.ROUTES,
    *talk.ROUTES,
    *transcriptions.ROUTES,
    *webhooks.ROUTES,
    *deliveries.ROUTES,
    *keys.ROUTES,
    *speakers.ROUTES,
    *languages.ROUTES,
    *whip.ROUTES,
    *rtp.ROUTES,
    *audiosocket.ROUTES,
    *health.ROUTES,
    *pages.ROUTES,
)

LAST_WORDS_S: Final = 5
"""What was still being said when the server went away is put into words within this time, or not shown live."""

Opening = Callable[[], AbstractAsyncContextManager[Context]]
"""Opens the server's parts when it starts, and closes them when it stops."""


def application(opening: Opening) -> web.Application:
    """A server not yet started. Its parts are reached through `CONTEXT` once it has."""

    async def opened(app: web.Application) -> AsyncIterator[None]:
        async with opening() as context:
            app[CONTEXT] = context
            app[LIMITS] = Limits(context.settings, context.clock)
            app[AUDIENCES] = Audiences(context.feed)
            async with _recording_server(context, app[RTP_CALLS]):
                yield

    async def leave(app: web.Application) -> None:
        """Callers first: their last words are still shown to whoever watches."""
        context = app[CONTEXT]
        context.leaving.set()
        await asyncio.gather(media.leave(app), whip.leave(app), app[RTP_CALLS].leave())
        await until_idle(context, LAST_WORDS_S)
        context.closing.set()

    app = web.Application(middlewares=(observe, answer_problems), client_max_size=MAX_BODY)
    app.cleanup_ctx.append(opened)
    app.on_response_prepare.append(shut_doors)
    app.on_shutdown.append(leave)
    app[RTP_CALLS] = RtpCalls()
    app[pages.DOCUMENT] = _document()
    app.router.add_routes(route.as_aiohttp() for route in TABLE)
    app[audiosocket.ANNOUNCEMENTS] = audiosocket.Announcements()
    media.add_routes(app)
    whip.add_routes(app)
    voice.add_routes(app)
    app.router.add_static("/static", pages.STATIC)
    return app


@cache
def _document() -> str:
    """The tables stay as they are: it is written once a process."""
    return json.dumps(document(TABLE), ensure_ascii=False)


@asynccontextmanager
async def _recording_server(context: Context, calls: RtpCalls) -> AsyncIterator[None]:
    """SIPREC, where it is wanted. Raises SetupError."""
    if not context.settings.sip_port:
        yield
        return
    try:
        from bridge.web.siprec import RecordingServer  # noqa: PLC0415 - its library is an extra
    except ModuleNotFoundError:
        raise SetupError("CALLBRIDGE_SIP_PORT needs an extra: pip install 'callbridge[siprec]'") from None
    server = RecordingServer(context, calls)
    await server.start()
    try:
        yield
    finally:
        await server.stop()
