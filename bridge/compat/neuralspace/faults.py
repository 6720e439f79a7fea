"""Answers as NeuralSpace has them: `{"success","message","data"}`, every success with status 200."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from bridge.compat.asking import retry_after
from bridge.errors import BridgeError

NOT_KEPT = {"Cache-Control": "no-store"}


def answer(data: Mapping[str, Any], message: str) -> web.Response:
    return web.json_response({"success": True, "message": message, "data": data}, headers=NOT_KEPT)


def answer_fault(request: web.Request, error: BridgeError) -> web.Response:
    del request
    status = 400 if error.status in {409, 422} else error.status
    return web.json_response({"success": False, "message": error.message}, status=status, headers=retry_after(error))
