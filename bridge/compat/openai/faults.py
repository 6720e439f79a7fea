"""Faults as OpenAI answers them: `{"error": {"message","type","param","code"}}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from bridge.compat.asking import retry_after
from bridge.errors import BridgeError, TooManyRequestsError, UnauthorisedError


def answer_fault(request: web.Request, error: BridgeError) -> web.Response:
    del request
    return web.json_response({"error": error_object(error)}, status=_status(error), headers=retry_after(error))


def error_object(error: BridgeError) -> dict[str, Any]:
    """The `error` of an answer, or of an event on a stream."""
    fields = error.details.get("fields")
    param = next(iter(fields), None) if isinstance(fields, Mapping) else None
    return {"message": error.message, "type": _type(error), "param": param, "code": _code(error)}


def _status(error: BridgeError) -> int:
    """400 where we say 422: its clients know no 422 that they could have caused."""
    return 400 if error.status in {409, 422} else error.status


def _type(error: BridgeError) -> str:
    return "invalid_request_error" if error.status < 500 else "server_error"


def _code(error: BridgeError) -> str:
    if isinstance(error, UnauthorisedError):
        return "invalid_api_key"
    return "rate_limit_exceeded" if isinstance(error, TooManyRequestsError) else error.code
