"""Faults as AssemblyAI answers them: `{"error"}` over HTTP, a code of four digits on a socket."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from bridge.compat.asking import retry_after
from bridge.errors import BridgeError, CapacityError

SERVER: Final = 3005
INPUT: Final = 3006
EXPIRED: Final = 3008
TOO_MANY: Final = 3009


def answer_fault(request: web.Request, error: BridgeError) -> web.Response:
    del request
    status = 400 if error.status == 422 else error.status
    return web.json_response({"error": error.message}, status=status, headers=retry_after(error))


def close_code(error: BridgeError) -> int:
    """Of the socket, and of the message before."""
    if isinstance(error, CapacityError):
        return TOO_MANY
    return INPUT if error.status < 500 else SERVER
