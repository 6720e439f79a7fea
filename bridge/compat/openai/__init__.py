"""OpenAI's audio API: `/v1/audio/transcriptions` and the list of models."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from bridge.compat.asking import shaped
from bridge.compat.openai.faults import answer_fault
from bridge.compat.openai.transcriptions import models, transcribe

PATHS: Final = ("POST /v1/audio/transcriptions", "GET /v1/models")


def add_routes(app: web.Application) -> None:
    for path in ("/v1/audio/transcriptions", "/v1/audio/transcriptions/"):
        app.router.add_post(path, shaped(answer_fault, transcribe))
    app.router.add_get("/v1/models", shaped(answer_fault, models))
