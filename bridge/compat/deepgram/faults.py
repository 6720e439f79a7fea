"""Faults as Deepgram answers them: `{"err_code","err_msg","request_id"}`."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from bridge.compat.asking import retry_after
from bridge.errors import (
    BridgeError,
    CancelledJobError,
    CapacityError,
    FetchError,
    ForbiddenError,
    StoreError,
    TooLargeError,
    TooManyRequestsError,
    UnauthorisedError,
    UnreadableRecordingError,
)
from bridge.web.observe import REQUEST_ID

CODES: Final[dict[type[BridgeError], tuple[int, str]]] = {
    UnauthorisedError: (401, "INVALID_AUTH"),
    ForbiddenError: (403, "INSUFFICIENT_PERMISSIONS"),
    TooLargeError: (413, "PAYLOAD_TOO_LARGE"),
    TooManyRequestsError: (429, "TOO_MANY_REQUESTS"),
    FetchError: (400, "REMOTE_CONTENT_ERROR"),
    UnreadableRecordingError: (400, "Bad Request"),
    CancelledJobError: (400, "Bad Request"),
    CapacityError: (503, "SERVICE_UNAVAILABLE"),
    StoreError: (503, "SERVICE_UNAVAILABLE"),
}


def answer_fault(request: web.Request, error: BridgeError) -> web.Response:
    """With the headers that its clients read."""
    status, code = next(
        (found for kind, found in CODES.items() if isinstance(error, kind)),
        (400, "Bad Request") if error.status < 500 else (500, "INTERNAL_SERVER_ERROR"),
    )
    message = "Invalid credentials." if status == 401 else error.message
    request_id = request.get(REQUEST_ID, "")
    headers = {"dg-request-id": request_id, "dg-error": " ".join(message.split()), **retry_after(error)}
    body = {"err_code": code, "err_msg": message, "request_id": request_id}
    return web.json_response(body, status=status, headers=headers)
