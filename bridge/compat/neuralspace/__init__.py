"""NeuralSpace's VoiceAI: languages, short-lived tokens, live audio over a WebSocket, and jobs for recordings."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from bridge.compat.asking import is_upgrade, shaped
from bridge.compat.neuralspace import jobs
from bridge.compat.neuralspace.access import languages, token
from bridge.compat.neuralspace.faults import answer_fault
from bridge.compat.neuralspace.live import listen_live
from bridge.errors import InvalidRequestError
from bridge.web.context import Context

LIVE: Final = "/voice/stream/live/transcribe/{language}/{token}/{session}"
PREFIXES: Final = ("/api/v2", "/api/v1")

PATHS: Final = (
    f"WS {LIVE}",
    "GET /api/v2/languages",
    "GET /api/v2/token",
    "POST /api/v2/jobs",
    "GET /api/v2/jobs",
    "GET /api/v2/jobs/{job}",
    "DELETE /api/v2/jobs/{job}",
)


async def _live(request: web.Request, context: Context) -> web.StreamResponse:
    if not is_upgrade(request):
        raise InvalidRequestError("this is a WebSocket")
    return await listen_live(request, context)


def add_routes(app: web.Application) -> None:
    router = app.router
    router.add_get(LIVE, shaped(answer_fault, _live), allow_head=False)
    for prefix in PREFIXES:
        router.add_get(f"{prefix}/languages", shaped(answer_fault, languages), allow_head=False)
        router.add_get(f"{prefix}/token", shaped(answer_fault, token), allow_head=False)
        router.add_post(f"{prefix}/jobs", shaped(answer_fault, jobs.create))
        router.add_get(f"{prefix}/jobs", shaped(answer_fault, jobs.list_jobs), allow_head=False)
        router.add_get(f"{prefix}/jobs/{{job}}", shaped(answer_fault, jobs.get), allow_head=False)
        router.add_delete(f"{prefix}/jobs/{{job}}", shaped(answer_fault, jobs.delete))
