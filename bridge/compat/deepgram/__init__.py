"""Deepgram's `/v1/listen` (recordings over HTTP, live audio over a WebSocket), `/v2/listen` (turns), and tokens."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from bridge.compat.asking import is_upgrade, shaped
from bridge.compat.deepgram.callback import STYLE, Messages
from bridge.compat.deepgram.faults import answer_fault
from bridge.compat.deepgram.live import listen_live
from bridge.compat.deepgram.prerecorded import grant, listen
from bridge.compat.deepgram.turns import listen_turns
from bridge.deliver.style import Style
from bridge.errors import InvalidRequestError
from bridge.web.context import Context

PATHS: Final = ("POST /v1/listen", "WS /v1/listen", "WS /v2/listen", "POST /v1/auth/grant")
STYLES: Final[dict[str, Style]] = {STYLE: Messages()}


async def _live(request: web.Request, context: Context) -> web.StreamResponse:
    if not is_upgrade(request):
        raise InvalidRequestError("GET is a WebSocket here; send recordings with POST")
    return await listen_live(request, context)


async def _turns(request: web.Request, context: Context) -> web.StreamResponse:
    if not is_upgrade(request):
        raise InvalidRequestError("this is a WebSocket")
    return await listen_turns(request, context)


def add_routes(app: web.Application) -> None:
    app.router.add_post("/v1/listen", shaped(answer_fault, listen))
    app.router.add_get("/v1/listen", shaped(answer_fault, _live), allow_head=False)
    app.router.add_post("/v1/auth/grant", shaped(answer_fault, grant))
    app.router.add_get("/v2/listen", shaped(answer_fault, _turns), allow_head=False)
