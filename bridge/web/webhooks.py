"""Webhook endpoints."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Final

from aiohttp import hdrs, web
from pydantic import AfterValidator, Field

from bridge.deliver.guard import Guard
from bridge.deliver.signing import new_secret
from bridge.errors import ConflictError, InvalidRequestError
from bridge.model.events import BODIES
from bridge.model.records import Endpoint
from bridge.store.payloads import DELETED
from bridge.web.auth import Scope
from bridge.web.moments import Moment
from bridge.web.route import Answer, Ask, Incoming, Nothing, Outgoing, Route, answer

EVERYTHING: Final = "*"
ENDED_TYPES: Final = ("call.completed", "call.failed")
TYPES: Final = frozenset({EVERYTHING, *ENDED_TYPES, DELETED, *BODIES})

OVERLAP_S: Final = 86_400
MAX_OVERLAP_S: Final = 7 * 86_400


def _known(kinds: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := sorted(set(kinds) - TYPES):
        raise ValueError(f"not event types: {', '.join(unknown)}; there are {', '.join(sorted(TYPES))}")
    return tuple(dict.fromkeys(kinds))


Url = Annotated[str, Field(min_length=8, max_length=2000)]
Types = Annotated[tuple[str, ...], Field(min_length=1, max_length=len(TYPES)), AfterValidator(_known)]
Description = Annotated[str, Field(max_length=500)]


class EndpointIn(Incoming):
    url: Url
    events: Types = Field(default=ENDED_TYPES, description="event types (contract of events), or `*` for all")
    description: Description = ""
    style: str = Field(default="", max_length=40, description="whose way messages are written in; see docs/compat.md")


class EndpointChange(Incoming):
    """What is left out stays as it is."""

    url: Url | None = None
    events: Types | None = None
    description: Description | None = None
    enabled: bool | None = Field(default=None, description="true also takes back an automatic disabling")


class Rotation(Incoming):
    overlap_s: int = Field(
        default=OVERLAP_S, ge=0, le=MAX_OVERLAP_S, description="how long the old secret goes on signing too"
    )


class EndpointOut(Outgoing):
    id: str
    url: str
    events: tuple[str, ...]
    description: str
    enabled: bool
    disabled_reason: str | None
    created_at: Moment
    style: str = Field(description="whose way its messages are written in: empty is this document's")
    secret_rotates_at: Moment | None = Field(description="until then the secret before this one signs too")


class EndpointMade(EndpointOut):
    secret: str = Field(description="signs the deliveries (Standard Webhooks); shown this once")


class EndpointList(Outgoing):
    webhooks: tuple[EndpointOut, ...]


async def create_webhook(ask: Ask[Nothing, EndpointIn]) -> web.StreamResponse:
    store, wanted = ask.context.store, ask.body
    most = ask.context.settings.tenant_max_webhooks  # every event is matched against all of them
    if len(await store.endpoints(ask.tenant)) >= most:
        raise ConflictError(f"there are {most} endpoints already; delete one first")
    _guard(ask).check_url(wanted.url)
    events = wanted.events
    if wanted.style:
        events = _told(ask, wanted.style, events if "events" in wanted.model_fields_set else None)
    endpoint = Endpoint(
        id=f"we_{secrets.token_hex(12)}",
        tenant=ask.tenant,
        url=wanted.url,
        events=events,
        secrets=(new_secret(),),
        enabled=True,
        created_at=ask.context.clock.now(),
        description=wanted.description,
        style=wanted.style,
    )
    await store.create_endpoint(endpoint)
    return answer(_made(endpoint), status=201)


def _told(ask: Ask[Any, Any], style: str, events: tuple[str, ...] | None) -> tuple[str, ...]:
    """The event types for a way to write: all that it has words for, if none are named. Raises InvalidRequestError."""
    known = ask.context.styles.get(style)
    if known is None:
        names = ", ".join(sorted(ask.context.styles))
        raise InvalidRequestError(f"style must be one of {names}", fields={"style": f"must be one of {names}"})
    if events is None:
        return tuple(known)
    if missing := sorted(set(events) - set(known)):
        why = f"{style} has no words for {', '.join(missing)}"
        raise InvalidRequestError(why, fields={"events": why})
    return events


async def list_webhooks(ask: Ask[Nothing, Nothing]) -> web.StreamResponse:
    found = await ask.context.store.endpoints(ask.tenant)
    return answer(EndpointList(webhooks=tuple(EndpointOut.of(endpoint) for endpoint in found)))


async def get_webhook(ask: Ask[Nothing, Nothing]) -> web.StreamResponse:
    return answer(EndpointOut.of(await ask.context.store.endpoint(ask.tenant, ask.path("webhook_id"))))


async def update_webhook(ask: Ask[Nothing, EndpointChange]) -> web.StreamResponse:
    changes = ask.body.model_dump(exclude_none=True)
    if "url" in changes:
        _guard(ask).check_url(changes["url"])
    if changes.get("enabled"):
        changes["disabled_reason"] = None
    if "events" in changes:
        style = (await ask.context.store.endpoint(ask.tenant, ask.path("webhook_id"))).style
        if style in ask.context.styles:
            _told(ask, style, changes["events"])
    return answer(EndpointOut.of(await _update(ask, changes)))


async def delete_webhook(ask: Ask[Nothing, Nothing]) -> web.StreamResponse:
    await ask.context.store.delete_endpoint(ask.tenant, ask.path("webhook_id"))
    return web.Response(status=204)


async def rotate_secret(ask: Ask[Nothing, Rotation]) -> web.StreamResponse:
    """The new secret signs at once, the old one beside it until the receiver has had time to change over."""
    endpoint = await ask.context.store.endpoint(ask.tenant, ask.path("webhook_id"))
    until = ask.context.clock.now() + ask.body.overlap_s
    changes = {"secrets": (new_secret(), endpoint.secrets[0]), "secret_rotates_at": until}
    return answer(_made(await _update(ask, changes)))


def _made(endpoint: Endpoint) -> EndpointMade:
    return EndpointMade(**dict(EndpointOut.of(endpoint)), secret=endpoint.secrets[0])


def _guard(ask: Ask[Any, Any]) -> Guard:
    return Guard(ask.context.settings.allow_private_urls)


async def _update(ask: Ask[Any, Any], changes: dict[str, Any]) -> Endpoint:
    return await ask.context.store.update_endpoint(ask.tenant, ask.path("webhook_id"), changes)


GONE: Final = Answer(description="it is gone", status=204, media_types=())

ROUTES: Final = (
    Route(
        method=hdrs.METH_POST,
        path="/v1/webhooks",
        handler=create_webhook,
        scope=Scope.WEBHOOKS,
        summary="Add a webhook endpoint",
        tag="webhooks",
        body=EndpointIn,
        answers=(Answer(description="the endpoint with its secret", status=201, model=EndpointMade),),
        faults=(ConflictError,),
    ),
    Route(
        method=hdrs.METH_GET,
        path="/v1/webhooks",
        handler=list_webhooks,
        scope=Scope.WEBHOOKS,
        summary="List webhook endpoints",
        tag="webhooks",
        answers=(Answer(description="without their secrets", model=EndpointList),),
    ),
    Route(
        method=hdrs.METH_GET,
        path="/v1/webhooks/{webhook_id}",
        handler=get_webhook,
        scope=Scope.WEBHOOKS,
        summary="One webhook endpoint",
        tag="webhooks",
        answers=(Answer(description="the endpoint", model=EndpointOut),),
    ),
    Route(
        method=hdrs.METH_PATCH,
        path="/v1/webhooks/{webhook_id}",
        handler=update_webhook,
        scope=Scope.WEBHOOKS,
        summary="Change a webhook endpoint",
        tag="webhooks",
        body=EndpointChange,
        answers=(Answer(description="the endpoint as it is now", model=EndpointOut),),
    ),
    Route(
        method=hdrs.METH_DELETE,
        path="/v1/webhooks/{webhook_id}",
        handler=delete_webhook,
        scope=Scope.WEBHOOKS,
        summary="Delete a webhook endpoint with its deliveries",
        tag="webhooks",
        answers=(GONE,),
    ),
    Route(
        method=hdrs.METH_POST,
        path="/v1/webhooks/{webhook_id}/rotate",
        handler=rotate_secret,
        scope=Scope.WEBHOOKS,
        summary="Give a webhook endpoint a new secret",
        tag="webhooks",
        body=Rotation,
        answers=(Answer(description="the endpoint with its new secret", model=EndpointMade),),
    ),
)
