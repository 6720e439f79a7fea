"""Smallest AI's Pulse: recordings over HTTP and live audio over a WebSocket, at the paths of old and new clients."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from bridge.compat.asking import is_upgrade, shaped
from bridge.compat.smallest.callback import STYLE, Messages
from bridge.compat.smallest.faults import answer_fault
from bridge.compat.smallest.live import listen_live
from bridge.compat.smallest.prerecorded import get_text
from bridge.deliver.style import Style
from bridge.errors import InvalidRequestError
from bridge.web.context import Context

BOTH: Final = ("/waves/v1/pulse/get_text", "/api/v1/pulse/get_text")
"""One path for recordings and for live audio."""
RECORDED: Final = "/waves/v1/stt"
LIVE: Final = "/waves/v1/stt/live"

PATHS: Final = (
    f"POST {RECORDED}/",
    f"WS {LIVE}",
    *(f"{method} {path}" for path in BOTH for method in ("POST", "WS")),
)
STYLES: Final[dict[str, Style]] = {STYLE: Messages()}


async def _live(request: web.Request, context: Context) -> web.StreamResponse:
    if not is_upgrade(request):
        raise InvalidRequestError("GET is a WebSocket here; send recordings with POST")
    return await listen_live(request, context)


def add_routes(app: web.Application) -> None:
    for path in (*BOTH, RECORDED):
        app.router.add_post(path, shaped(answer_fault, get_text))
    for path in (*BOTH, LIVE):
        app.router.add_get(path, shaped(answer_fault, _live), allow_head=False)
