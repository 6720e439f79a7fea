"""Faults as Speechmatics answers them: a `type` of its own, and a reason."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from bridge.compat.asking import retry_after
from bridge.errors import (
    BridgeError,
    CapacityError,
    CarrierProtocolError,
    ForbiddenError,
    InvalidRequestError,
    TooManyRequestsError,
    UnauthorisedError,
    UnsupportedMediaError,
)

TYPES: Final[dict[type[BridgeError], str]] = {
    UnauthorisedError: "not_authorised",
    ForbiddenError: "not_allowed",
    CapacityError: "quota_exceeded",
    TooManyRequestsError: "quota_exceeded",
    UnsupportedMediaError: "invalid_audio_type",
    CarrierProtocolError: "data_error",
    InvalidRequestError: "invalid_config",
}


class MessageError(InvalidRequestError):
    """A message that is none, or that comes at the wrong time. `kind` is Speechmatics' name for it."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def answer_fault(request: web.Request, error: BridgeError) -> web.Response:
    del request
    status = 400 if error.status == 422 else error.status
    return web.json_response(error_object(error), status=status, headers=retry_after(error))


def error_object(error: BridgeError) -> dict[str, Any]:
    if isinstance(error, MessageError):
        kind = error.kind
    else:
        kind = next((name for known, name in TYPES.items() if isinstance(error, known)), "unknown_error")
    return {"message": "Error", "type": kind, "reason": error.message}
