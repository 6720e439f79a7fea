"""Telnyx's speech to text: live audio of any format over a WebSocket, and recordings in a form."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from bridge.compat.asking import is_upgrade, shaped
from bridge.compat.telnyx.faults import answer_fault
from bridge.compat.telnyx.live import listen_live
from bridge.compat.telnyx.providers import providers
from bridge.compat.telnyx.recorded import transcribe
from bridge.errors import InvalidRequestError
from bridge.web.context import Context

LIVE: Final = "/v2/speech-to-text/transcription"
PROVIDERS: Final = "/v2/speech-to-text/providers"
RECORDED: Final = "/v2/ai/audio/transcriptions"
PATHS: Final = (f"WS {LIVE}", f"GET {PROVIDERS}", f"POST {RECORDED}")


async def _live(request: web.Request, context: Context) -> web.StreamResponse:
    if not is_upgrade(request):
        raise InvalidRequestError("this is a WebSocket")
    return await listen_live(request, context)


def add_routes(app: web.Application) -> None:
    app.router.add_get(LIVE, shaped(answer_fault, _live), allow_head=False)
    app.router.add_get(PROVIDERS, shaped(answer_fault, providers), allow_head=False)
    app.router.add_post(RECORDED, shaped(answer_fault, transcribe))
