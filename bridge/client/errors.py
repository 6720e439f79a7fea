"""What the server may answer instead of what was asked for.

CallbridgeError
├── TransportError           no answer: the server is away, or the line broke
├── ValidationError          400, 413, 415, 422: the request is wrong
├── AuthenticationError      401: no credential, or one that is not known
├── AuthorizationError       403: the credential may not do this
├── NotFoundError            404
│   ├── RecordingNotFoundError · TranscriptionNotFoundError · WebhookNotFoundError
├── ConflictError            409
├── RateLimitError           429: `retry_after` says when to come back
└── ServerError              5xx
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final


class CallbridgeError(Exception):
    """Parent of all. `error_code` is stable; the message is for people."""

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        error_code: str | None = None,
        details: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status_code = status_code
        self.error_code = error_code
        self.details = dict(details or {})
        self.retry_after = retry_after
        """Seconds, where the server has said them."""


class TransportError(CallbridgeError):
    """No answer came."""


class ValidationError(CallbridgeError):
    """The request is wrong; `details` says where."""


class AuthenticationError(CallbridgeError):
    """No credential, or one that is not known."""


class AuthorizationError(CallbridgeError):
    """The credential is known but may not do this."""


class NotFoundError(CallbridgeError):
    """No such thing for this tenant."""


class RecordingNotFoundError(NotFoundError):
    """No such recording."""


class TranscriptionNotFoundError(NotFoundError):
    """Its words are not there yet."""


class WebhookNotFoundError(NotFoundError):
    """No such webhook."""


class ConflictError(CallbridgeError):
    """The thing is there already, or is in a state that forbids this."""


class RateLimitError(CallbridgeError):
    """Too many requests; come back in `retry_after` seconds."""


class ServerError(CallbridgeError):
    """The server's own fault, or it has no room now."""


BY_STATUS: Final[Mapping[int, type[CallbridgeError]]] = {
    401: AuthenticationError,
    403: AuthorizationError,
    404: NotFoundError,
    409: ConflictError,
    429: RateLimitError,
}
BY_CODE: Final[Mapping[str, type[CallbridgeError]]] = {
    "RECORDING_NOT_FOUND": RecordingNotFoundError,
    "TRANSCRIPTION_NOT_READY": TranscriptionNotFoundError,
    "WEBHOOK_NOT_FOUND": WebhookNotFoundError,
}


def error_of(status: int, body: Any, retry_after: str | None) -> CallbridgeError:
    """What an answer of 400 or more means; `body` is its JSON, or anything."""
    told = body.get("error") if isinstance(body, Mapping) else None
    error = told if isinstance(told, Mapping) else {}
    code = str(error.get("code", "")) or None
    details = error.get("details")
    kind = BY_CODE.get(code or "") or BY_STATUS.get(status) or (ServerError if status >= 500 else ValidationError)
    return kind(
        str(error.get("message") or f"the server answered {status}"),
        status_code=status,
        error_code=code,
        details=details if isinstance(details, Mapping) else None,
        retry_after=seconds_of(retry_after),
    )


def seconds_of(header: str | None) -> float | None:
    """`Retry-After` in seconds; the date that it may be instead is passed over."""
    return float(header) if header is not None and header.isascii() and header.isdigit() else None
