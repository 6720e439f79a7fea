"""Faults as Smallest AI answers them: `{"error","request_id","details"}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from bridge.compat.asking import retry_after
from bridge.errors import BridgeError
from bridge.web.observe import REQUEST_ID

KNOWN: Final = frozenset({400, 401, 403, 413, 429, 503})
"""Statuses that its SDK has an exception for."""


def answer_fault(request: web.Request, error: BridgeError) -> web.Response:
    fields = error.details.get("fields")
    details = [{"field": name, "message": why} for name, why in fields.items()] if isinstance(fields, Mapping) else []
    body = {"error": error.message, "request_id": request.get(REQUEST_ID, ""), "details": details}
    return web.json_response(body, status=_status(error), headers=retry_after(error))


def _status(error: BridgeError) -> int:
    if error.status in KNOWN:
        return error.status
    return 400 if error.status < 500 else 500
