"""What every request has in common: an id, a line in the log, its figures, and the headers that shut doors."""

from __future__ import annotations

import secrets
import time
from typing import Final

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from bridge.metrics import HTTP_REQUESTS, HTTP_SECONDS
from bridge.web.limits import SPENT

log = structlog.get_logger(__name__)

REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)

QUIET_PATHS: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked every few seconds by machines: worth a line only to who debugs."""

METHODS: Final = hdrs.METH_ALL

SHUT: Final = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    hdrs.CACHE_CONTROL: "no-cache",
}
"""Set where a handler has not said otherwise; pages bring a policy of their own."""


@web.middleware
async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Outermost: sees the final answer, whatever became of the request."""
    request[REQUEST_ID] = secrets.token_hex(8)
    began = time.perf_counter()
    with structlog.contextvars.bound_contextvars(request_id=request[REQUEST_ID]):
        response = await handler(request)
        spent = time.perf_counter() - began
        route, method = _route(request), request.method if request.method in METHODS else "other"
        HTTP_REQUESTS.labels(method, route, str(response.status)).inc()
        if not _lives_on(response):
            HTTP_SECONDS.labels(route).observe(spent)
        say = log.debug if request.path in QUIET_PATHS else log.info
        say("request", method=method, path=path_of(request), status=response.status, ms=round(spent * 1000, 1))
    return response


def path_of(request: web.Request) -> str:
    """For logs: without the query string, and without a token that is a part of the path."""
    secret = request.match_info.get("token")
    return request.path.replace(secret, "…") if secret else request.path


async def shut_doors(request: web.Request, response: web.StreamResponse) -> None:
    """On every answer, just before its headers are sent."""
    for name, value in SHUT.items():
        response.headers.setdefault(name, value)
    response.headers[hdrs.SERVER] = "callbridge"
    if (spent := request.get(SPENT)) is not None:
        response.headers.update(spent.as_headers())
    if (request_id := request.get(REQUEST_ID)) is not None:
        response.headers["X-Request-Id"] = request_id


def _route(request: web.Request) -> str:
    """The pattern, not the path: one figure a route, and none for what strangers make up."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unmatched"


def _lives_on(response: web.StreamResponse) -> bool:
    return isinstance(response, web.WebSocketResponse) or response.content_type == "text/event-stream"
