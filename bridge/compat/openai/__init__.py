"""OpenAI's audio API: `/v1/audio/transcriptions`, Realtime transcription sessions, and the list of models."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from bridge.compat.asking import shaped
from bridge.compat.openai.faults import answer_fault
from bridge.compat.openai.realtime import realtime
from bridge.compat.openai.secrets import client_secret, transcription_session
from bridge.compat.openai.transcriptions import models, transcribe

PATHS: Final = (
    "POST /v1/audio/transcriptions",
    "GET /v1/models",
    "WS /v1/realtime",
    "POST /v1/realtime/client_secrets",
    "POST /v1/realtime/transcription_sessions",
)


def add_routes(app: web.Application) -> None:
    app.router.add_post("/v1/audio/transcriptions", shaped(answer_fault, transcribe))
    app.router.add_get("/v1/models", shaped(answer_fault, models))
    app.router.add_get("/v1/realtime", shaped(answer_fault, realtime), allow_head=False)
    app.router.add_post("/v1/realtime/client_secrets", shaped(answer_fault, client_secret))
    app.router.add_post("/v1/realtime/transcription_sessions", shaped(answer_fault, transcription_session))
