"""One row of the API: where, who may, what is read, what is answered. Requests and `/openapi.json` both follow it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Self, TypeVar

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, ConfigDict, ValidationError

from bridge.errors import BridgeError
from bridge.web.auth import Principal, Scope
from bridge.web.context import CONTEXT, Context
from bridge.web.limits import LIMITS, Limits
from bridge.web.problems import invalid

MAX_BODY: Final = 256 * 1024
"""Bytes a JSON body may have; routes that take recordings read theirs in pieces."""

TOKEN_PARAMETER: Final = "token"  # noqa: S105 - a parameter's name

NOBODY: Final = Principal(tenant="", scopes=frozenset(), identity="")
"""Whoever asks on a route without a scope: nothing is known of them, and no tenant is theirs."""


class Incoming(BaseModel):
    """Parent of what clients send. A name nobody knows is refused: a mistyped filter must not mean 'everything'."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Nothing(Incoming):
    """No parameters, or no body."""


class Anything(Incoming):
    """Parameters of a page: campaigns, caches and mail programs add their own to any address."""

    model_config = ConfigDict(extra="ignore")


class Outgoing(BaseModel):
    """Parent of what is answered."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    @classmethod
    def of(cls, record: object) -> Self:
        """What this shows of a record: its fields of the same names."""
        return cls.model_validate(record)


Q = TypeVar("Q", bound=Incoming)
B = TypeVar("B", bound=Incoming)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask(Generic[Q, B]):
    """A request whose sender is known and may, with its parameters read."""

    request: web.Request
    context: Context
    principal: Principal
    query: Q
    body: B

    @property
    def tenant(self) -> str:
        return self.principal.tenant

    @property
    def limits(self) -> Limits:
        return self.request.app[LIMITS]

    def path(self, name: str) -> str:
        """The part of the path that the route calls `{name}`."""
        return self.request.match_info[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a route says when all is well. Without a model the body is text or nothing."""

    description: str
    status: int = 200
    model: type[Outgoing] | None = None
    media_types: tuple[str, ...] = ("application/json",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route(Generic[Q, B]):
    """A row of the table. `scope` None: open to everybody, and then no tenant's data may be touched."""

    method: str
    path: str
    handler: Callable[[Ask[Q, B]], Awaitable[web.StreamResponse]]
    scope: Scope | None
    summary: str
    tag: str
    answers: tuple[Answer, ...]
    query: type[Q] = field(default=Nothing)  # type: ignore[assignment]  # a TypeVar cannot have a default yet
    body: type[B] = field(default=Nothing)  # type: ignore[assignment]  # the same
    faults: tuple[type[BridgeError], ...] = ()
    """What it may raise beyond what every route of its kind may."""
    form: type[BaseModel] | None = None
    """What the handler reads itself: as a form with a recording in `file`, or as JSON that has its `url`."""
    takes: str | None = None
    """The media type of a body that is no JSON, which the handler reads itself."""
    in_document: bool = True

    @property
    def is_live(self) -> bool:
        """Whether an answer lasts as long as its reader."""
        return any(answer.status == 101 or "text/event-stream" in answer.media_types for answer in self.answers)

    def as_aiohttp(self) -> web.RouteDef:
        """The row as aiohttp registers it; HEAD answers wherever GET does and comes to an end."""
        options = {"allow_head": not self.is_live} if self.method == hdrs.METH_GET else {}
        return web.route(self.method, self.path, self._handler(), **options)

    def _handler(self) -> Handler:
        """Who, then what, then the answer."""

        async def handle(request: web.Request) -> web.StreamResponse:
            context = request.app[CONTEXT]
            principal = NOBODY
            if self.scope is not None:
                principal = await context.auth.principal(request)
                principal.need(self.scope)
                if self.scope is not Scope.MEDIA:  # no call is lost to a busy dashboard: calls have limits of their own
                    request.app[LIMITS].count_request(request, principal)
            query = read_query(self.query, request)
            body = await read_body(self.body, request)
            ask = Ask(request=request, context=context, principal=principal, query=query, body=body)
            return await self.handler(ask)

        return handle


def read_query(model: type[Q], request: web.Request) -> Q:
    """The query string as `model`. The credential in it is not a parameter. Raises InvalidRequestError."""
    given: dict[str, Any] = {name: value for name, value in request.query.items() if name != TOKEN_PARAMETER}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise invalid(error, "query") from None


async def read_body(model: type[B], request: web.Request) -> B:
    """The body as `model`; a missing one is as good as `{}`. Raises InvalidRequestError.

    Only `application/json` is read: other types can be sent across sites by any web page without asking first.
    """
    if model is Nothing:
        return model.model_validate({})
    raw = await request.read()
    if raw and request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType
    try:
        return model.model_validate_json(raw or b"{}")
    except ValidationError as error:
        raise invalid(error, "body") from None


def answer(body: Outgoing, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON answer. People's words and credentials do not belong in anybody's cache."""
    kept = {hdrs.CACHE_CONTROL: "no-store", **(headers or {})}
    return web.Response(text=body.model_dump_json(), status=status, content_type="application/json", headers=kept)
