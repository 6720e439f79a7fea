"""What can go wrong, as a tree. `code` is stable and public; the message is for people.

BridgeError
├── CarrierError                 the carrier's fault; ends that call only
│   ├── CarrierProtocolError     a message its protocol forbids, or one that cannot be read
│   ├── UnsupportedMediaError    an encoding, rate or channel count nobody here decodes
│   ├── CarrierAuthError         a signature or token that is missing or wrong
│   ├── CarrierSilentError       nothing, where something was due long ago
│   └── CarrierFloodError        far more messages than a call can have
├── RequestError                 the client's fault; HTTP 4xx
│   ├── InvalidRequestError · NotFoundError · ConflictError · UnauthorisedError · ForbiddenError · SlowReaderError ·
│     TooManyRequestsError · TooLargeError · UnreadableRecordingError · FetchError · CancelledJobError
├── CallRefusedError             being a carrier: the other side does not take our call
├── CapacityError                no room for another call; try later
├── EngineError                  the recogniser failed on one piece of speech; that piece is named as a gap
├── StoreError                   the database refused or is away
├── SpoolError                   the disk does not keep what calls are made of; they go on, a crash would cut them
├── InterruptedCallError         the server stopped in the middle of a call, and nothing it heard was kept
└── SetupError                   a fault of the installation: settings, weights, ports; stops the program
"""

from __future__ import annotations

from typing import Any, ClassVar


class BridgeError(Exception):
    """Parent of all ours."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    """The HTTP status that says the same."""
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class CarrierError(BridgeError):
    """The carrier's fault. Ends that call only; what was heard before stays."""

    code = "carrier_error"
    status = 400
    close_code: ClassVar[int] = 1002
    """RFC 6455 §7.4.1: what the media socket is closed with."""


class CarrierProtocolError(CarrierError):
    """The carrier sent what its protocol forbids, or what cannot be read."""

    code = "carrier_protocol"


class UnsupportedMediaError(CarrierError):
    """An encoding, sample rate or channel count that nothing here decodes."""

    code = "unsupported_media"
    close_code = 1003


class CarrierAuthError(CarrierError):
    """A media stream whose signature or token is missing or wrong."""

    code = "carrier_unauthorised"
    status = 403
    close_code = 1008


class CarrierSilentError(CarrierError):
    """A media socket that never starts its stream, or has gone quiet."""

    code = "carrier_silent"
    status = 408
    close_code = 1008


class CarrierFloodError(CarrierError):
    """Far more messages a second than a call can have: they would take the time of other calls."""

    code = "carrier_flood"
    status = 429
    close_code = 1008


class RequestError(BridgeError):
    """The client asked for something it may not have, or in a way that cannot be understood."""

    code = "bad_request"
    status = 400


class InvalidRequestError(RequestError):
    """A body or parameter is wrong; `details["fields"]` says which and why."""

    code = "invalid_request"
    status = 422


class UnauthorisedError(RequestError):
    """No credential, or one that is not known."""

    code = "unauthorised"
    status = 401


class ForbiddenError(RequestError):
    """The credential is known but may not do this."""

    code = "forbidden"
    status = 403


class NotFoundError(RequestError):
    """No such thing for this tenant."""

    code = "not_found"
    status = 404


class ConflictError(RequestError):
    """The thing is there already, or is in a state that forbids this."""

    code = "conflict"
    status = 409


class SlowReaderError(RequestError):
    """A live reader fell too far behind. Read again from the last `seq`, call by call."""

    code = "too_slow"
    status = 409
    retryable = True


class TooManyRequestsError(RequestError):
    """Over a rate limit; `details["retry_after"]` in seconds."""

    code = "too_many_requests"
    status = 429
    retryable = True


class TooLargeError(RequestError):
    """More bytes than are taken here; `details["limit"]` says how many are."""

    code = "too_large"
    status = 413


class UnreadableRecordingError(RequestError):
    """A file that holds no audio, or none that can be read."""

    code = "unreadable_recording"
    status = 422


class FetchError(RequestError):
    """A recording's address that does not answer with one."""

    code = "fetch_failed"
    status = 422


class CancelledJobError(RequestError):
    """The recording's owner took it back before it was done."""

    code = "cancelled"
    status = 409


class CallRefusedError(BridgeError):
    """Being a carrier: the other side did not open the socket. `details["status"]` is its HTTP answer, or None."""

    code = "call_refused"
    status = 502


class CapacityError(BridgeError):
    """No room for another call; `details["retry_after"]` in seconds."""

    code = "at_capacity"
    status = 503
    retryable = True


class EngineError(BridgeError):
    """The recogniser failed on one piece of speech."""

    code = "engine_failed"
    retryable = True


class StoreError(BridgeError):
    """The database refused, or is away."""

    code = "store_failed"
    status = 503
    retryable = True


class SpoolError(BridgeError):
    """The disk does not keep what calls are made of, or a file of it cannot be read."""

    code = "spool_failed"
    status = 503
    retryable = True


class InterruptedCallError(BridgeError):
    """The server stopped in the middle of the call, and what it had heard by then was not kept."""

    code = "interrupted"


class SetupError(BridgeError):
    """A fault of the installation. The message says what to do about it."""

    code = "setup"
