"""Faults as Telnyx answers them: `{"errors": [{"code","title","detail","source"}]}`, before the upgrade and after."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from bridge.compat.asking import retry_after
from bridge.errors import (
    BridgeError,
    ForbiddenError,
    InvalidRequestError,
    TooManyRequestsError,
    UnauthorisedError,
)

CODES: Final[dict[type[BridgeError], tuple[str, str]]] = {
    UnauthorisedError: ("10009", "Authentication failed"),
    ForbiddenError: ("10010", "Authorization failed"),
    TooManyRequestsError: ("10011", "Too many requests"),
}
BAD_PARAMETER: Final = ("40000", "Invalid parameter")
OURS: Final = ("50000", "Internal error")


class ParameterError(InvalidRequestError):
    """A parameter that Telnyx has a code for."""

    def __init__(self, code: str, parameter: str, detail: str) -> None:
        super().__init__(detail, fields={parameter: detail})
        self.telnyx_code = code
        self.parameter = parameter


def answer_fault(request: web.Request, error: BridgeError) -> web.Response:
    del request
    status = 400 if error.status == 422 else error.status
    return web.json_response({"errors": [error_object(error)]}, status=status, headers=retry_after(error))


def error_object(error: BridgeError) -> dict[str, Any]:
    if isinstance(error, ParameterError):
        code, title = error.telnyx_code, BAD_PARAMETER[1]
    else:
        usual = BAD_PARAMETER if error.status < 500 else OURS
        code, title = next((found for kind, found in CODES.items() if isinstance(error, kind)), usual)
    told: dict[str, Any] = {"code": code, "title": title, "detail": error.message}
    if isinstance(error, ParameterError):
        told["source"] = {"parameter": error.parameter}
    return told
