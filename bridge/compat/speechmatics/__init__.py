"""Speechmatics' real-time API: live audio over a WebSocket."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from bridge.compat.asking import is_upgrade, shaped
from bridge.compat.speechmatics.faults import answer_fault
from bridge.compat.speechmatics.live import listen_live
from bridge.errors import InvalidRequestError
from bridge.web.context import Context

PATHS: Final = ("WS /v2",)


async def _live(request: web.Request, context: Context) -> web.StreamResponse:
    if not is_upgrade(request):
        raise InvalidRequestError("this is a WebSocket")
    return await listen_live(request, context)


def add_routes(app: web.Application) -> None:
    app.router.add_get("/v2", shaped(answer_fault, _live), allow_head=False)
