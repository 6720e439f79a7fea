"""AssemblyAI's streaming API, version 3: live audio over a WebSocket, turns out; and short-lived tokens."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from bridge.compat.asking import is_upgrade, shaped
from bridge.compat.assemblyai.faults import answer_fault
from bridge.compat.assemblyai.live import listen_live
from bridge.compat.assemblyai.tokens import token
from bridge.errors import InvalidRequestError
from bridge.web.context import Context

PATHS: Final = ("WS /v3/ws", "GET /v3/token")


async def _live(request: web.Request, context: Context) -> web.StreamResponse:
    if not is_upgrade(request):
        raise InvalidRequestError("this is a WebSocket")
    return await listen_live(request, context)


def add_routes(app: web.Application) -> None:
    app.router.add_get("/v3/ws", shaped(answer_fault, _live), allow_head=False)
    app.router.add_get("/v3/token", shaped(answer_fault, token), allow_head=False)
