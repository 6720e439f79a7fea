"""Faults as Twilio's REST API answers them: `{"code","message","more_info","status"}`."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from bridge.compat.asking import retry_after
from bridge.errors import BridgeError

CODES: Final = {400: 20001, 401: 20003, 403: 20003, 404: 20404, 409: 20409, 429: 20429}


def answer_fault(request: web.Request, error: BridgeError) -> web.Response:
    del request
    status = 400 if error.status == 422 else error.status
    code = CODES.get(status, 20500)
    body = {
        "code": code,
        "message": error.message,
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }
    return web.json_response(body, status=status, headers=retry_after(error))
