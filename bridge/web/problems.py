"""Faults as HTTP answers: `{"error": {"code", "message", "type", "details"}}`, whatever went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, Field, ValidationError

from bridge.errors import (
    BridgeError,
    CallRefusedError,
    CapacityError,
    CarrierError,
    EngineError,
    InterruptedCallError,
    InvalidRequestError,
    RequestError,
    SetupError,
    SpoolError,
    StoreError,
)

log = structlog.get_logger(__name__)

FAMILIES: Final[dict[type[BridgeError], str]] = {
    RequestError: "request_error",
    CarrierError: "carrier_error",
    CallRefusedError: "call_refused_error",
    CapacityError: "capacity_error",
    EngineError: "engine_error",
    StoreError: "store_error",
    SpoolError: "spool_error",
    InterruptedCallError: "interrupted_call_error",
    SetupError: "setup_error",
}
"""`type` in an answer: the branch of the tree in `errors.py`; `internal_error` for what has none."""

HTTP_CODES: Final = {
    404: ("not_found", "there is nothing at this path"),
    405: ("method_not_allowed", "this path does not answer this method"),
    412: ("precondition_failed", "If-Match names another state of this than it is in"),
    413: ("too_large", "the request body is larger than this path takes"),
    415: (
        "unsupported_media_type",
        "the API document names the Content-Type that this path reads",
    ),
    416: ("range_not_satisfiable", "the file is shorter than the range asked for"),
    428: ("precondition_required", "send the ETag of the first answer as If-Match"),
}


class ProblemBody(BaseModel):
    code: str = Field(description="stable")
    message: str = Field(description="for people")
    type: str = Field(description="the family of the fault")
    details: dict[str, Any]


class Problem(BaseModel):
    """Every answer that is not what was asked for."""

    error: ProblemBody


@web.middleware
async def answer_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever a handler raises into an answer; what nobody foresaw is logged and told as nothing but a 500."""
    try:
        return await handler(request)
    except BridgeError as error:
        return problem(error)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _http_problem(error)
    except ConnectionResetError:  # the client has gone: nobody to tell
        raise
    except Exception:
        log.exception("request failed", method=request.method, path=request.path)
        return problem(BridgeError("something went wrong on our side; the log has it under this request id"))


def problem(error: BridgeError) -> web.Response:
    """The answer that says what `error` says. A `retry_after` in its details is a header too."""
    headers = {}
    if (wait := error.details.get("retry_after")) is not None:
        headers["Retry-After"] = str(max(1, round(wait)))
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="callbridge"'
    family = next((name for kind, name in FAMILIES.items() if isinstance(error, kind)), "internal_error")
    body = ProblemBody(code=error.code, message=error.message, type=family, details=error.details)
    return _answer(error.status, body, headers)


def invalid(error: ValidationError, where: str) -> InvalidRequestError:
    """What pydantic found, as one error; `where` is `query` or `body`. Values are not repeated: they may be secret."""
    fields = {
        ".".join(str(part) for part in found["loc"]) or where: str(found["msg"]).removeprefix("Value error, ")
        for found in error.errors(include_url=False, include_context=False, include_input=False)
    }
    named = "; ".join(f"{name}: {why}" for name, why in list(fields.items())[:3])
    return InvalidRequestError(f"the {where} is not as it should be: {named}", fields=fields)


def _http_problem(error: web.HTTPException) -> web.Response:
    code, message = HTTP_CODES.get(error.status, ("http_error", error.reason or "the request was refused"))
    family = "request_error" if error.status < 500 else "internal_error"
    body = ProblemBody(code=code, message=message, type=family, details={})
    kept = {name: error.headers[name] for name in ("Allow", "Content-Range") if name in error.headers}
    return _answer(error.status, body, kept)


def _answer(status: int, error: ProblemBody, headers: Mapping[str, str]) -> web.Response:
    text = Problem(error=error).model_dump_json(fallback=str)
    return web.Response(text=text, status=status, content_type="application/json", headers=headers)
