"""Faults as VocaFuse answers them: `{"error": {"code","number","message","type","details"}}`.

Its Python SDK picks an exception by the status and, for 404, by words of the message: "recording", "webhook",
"transcription" or "api key", the first that occurs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from aiohttp import web

from bridge.compat.asking import retry_after
from bridge.errors import (
    BridgeError,
    CapacityError,
    ConflictError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    TooLargeError,
    TooManyRequestsError,
    UnauthorisedError,
)


class NoRecordingError(NotFoundError):
    """The tenant, or the token's identity, has no such recording."""

    code: ClassVar[str] = "RECORDING_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("Recording not found")


class NoWebhookError(NotFoundError):
    """The tenant has no such webhook."""

    code: ClassVar[str] = "WEBHOOK_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("Webhook not found")


class NoKeyError(NotFoundError):
    """The tenant has no such API key."""

    code: ClassVar[str] = "API_KEY_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("API key not found")


class NotReadyError(NotFoundError):
    """Its words are not there yet. The message must not hold the word "recording"."""

    code: ClassVar[str] = "TRANSCRIPTION_NOT_READY"

    def __init__(self) -> None:
        super().__init__("Transcription not ready")


class NoWordsError(ConflictError):
    """There will be no words: the recording failed."""

    code: ClassVar[str] = "TRANSCRIPTION_FAILED"


class TokenLapsedError(UnauthorisedError):
    """A token of ours whose time is over."""

    code: ClassVar[str] = "TOKEN_EXPIRED"


class MissingFieldError(InvalidRequestError):
    """The body lacks a field."""

    code: ClassVar[str] = "MISSING_REQUIRED_FIELD"

    def __init__(self, field: str) -> None:
        super().__init__(f"{field} is required", fields={field: "missing"})


class BadFormatError(InvalidRequestError):
    """The body is no JSON object."""

    code: ClassVar[str] = "INVALID_REQUEST_FORMAT"


TYPES: Final[dict[type[BridgeError], tuple[str, str]]] = {
    UnauthorisedError: ("AuthenticationError", "INVALID_TOKEN"),
    ForbiddenError: ("AuthorizationError", "INSUFFICIENT_PERMISSIONS"),
    NotFoundError: ("NotFoundError", "NOT_FOUND"),
    ConflictError: ("ConflictError", "CONFLICT"),
    TooLargeError: ("ValidationError", "FILE_TOO_LARGE"),
    TooManyRequestsError: ("RateLimitError", "RATE_LIMIT_EXCEEDED"),
    CapacityError: ("ServerError", "SERVICE_UNAVAILABLE"),
}
"""By kind of fault: `type`, and the `code` of one that has none of VocaFuse's own."""

NUMBERS: Final = {
    "INVALID_TOKEN": 1001,
    "TOKEN_EXPIRED": 1002,
    "INVALID_REQUEST_FORMAT": 2001,
    "MISSING_REQUIRED_FIELD": 2002,
    "INVALID_FIELD_VALUE": 2003,
}
"""What its documentation numbers."""


def answer_fault(request: web.Request, error: BridgeError) -> web.Response:
    del request
    status = 400 if error.status == 422 else error.status  # its clients know no 422
    kind, code = _kind(error, status)
    if error.code.isupper():
        code = error.code
    body = {
        "code": code,
        "number": NUMBERS.get(code),
        "message": error.message,
        "type": kind,
        "details": _details(error),
    }
    return web.json_response({"error": body}, status=status, headers=retry_after(error))


def _kind(error: BridgeError, status: int) -> tuple[str, str]:
    for known, found in TYPES.items():
        if isinstance(error, known):
            return found
    return ("ValidationError", "INVALID_FIELD_VALUE") if status < 500 else ("ServerError", "INTERNAL_ERROR")


def _details(error: BridgeError) -> dict[str, Any]:
    details = dict(error.details)
    fields = details.pop("fields", None)
    if isinstance(fields, Mapping) and fields:
        field, reason = next(iter(fields.items()))
        details |= {"field": field, "reason": reason}
    return details
