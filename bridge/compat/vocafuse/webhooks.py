"""Webhooks as VocaFuse's clients manage them. They are endpoints like any other, written to in its way."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiohttp import web

from bridge.compat.asking import shaped
from bridge.compat.vocafuse.access import KEY_HEADER, admit, invalid, read_json
from bridge.compat.vocafuse.faults import MissingFieldError, NoWebhookError, answer_fault
from bridge.compat.vocafuse.messages import BODY, EVENTS, NAMES, NEVER, SIGNATURE, STYLE, TIMESTAMPED
from bridge.compat.vocafuse.shapes import json_answer, moment, page_of, twice
from bridge.deliver.guard import Guard
from bridge.deliver.signing import new_secret
from bridge.errors import ConflictError, NotFoundError
from bridge.model.records import Endpoint
from bridge.web.auth import Scope
from bridge.web.context import Context

LONGEST_URL: Final = 2000
LONGEST_SECRET: Final = 200

Handler = Callable[[web.Request, Context], Awaitable[web.StreamResponse]]


async def list_webhooks(request: web.Request, context: Context) -> web.StreamResponse:
    principal = await admit(request, context, Scope.WEBHOOKS)
    found = [_shown(endpoint) for endpoint in await _theirs(context, principal.tenant)]
    return json_answer(page_of(found, ("webhooks",), request, page=0, limit=max(1, len(found)), total=len(found)))


async def create_webhook(request: web.Request, context: Context) -> web.StreamResponse:
    principal = await admit(request, context, Scope.WEBHOOKS)
    wanted = _wanted(await read_json(request), context)
    most = context.settings.tenant_max_webhooks
    if len(await context.store.endpoints(principal.tenant)) >= most:
        raise ConflictError(f"There are {most} webhooks already")
    await _check_new(context, principal.tenant, wanted["url"])
    endpoint = Endpoint(
        id=f"we_{secrets.token_hex(12)}",
        tenant=principal.tenant,
        enabled=True,
        created_at=context.clock.now(),
        style=STYLE,
        **{"secrets": (new_secret(),), **wanted},
    )
    await context.store.create_endpoint(endpoint)
    told = {**_shown(endpoint), "secret": endpoint.secrets[0], "code": "WEBHOOK_CONFIGURED"}
    return json_answer(twice(told), status=201)


async def get_webhook(request: web.Request, context: Context) -> web.StreamResponse:
    principal = await admit(request, context, Scope.WEBHOOKS)
    return json_answer(twice(_shown(await _found(request, context, principal.tenant))))


async def update_webhook(request: web.Request, context: Context) -> web.StreamResponse:
    """All of it anew; a secret that is not given stays. One that a receiver's 410 had stopped goes on."""
    principal = await admit(request, context, Scope.WEBHOOKS)
    before = await _found(request, context, principal.tenant)
    changes = {**_wanted(await read_json(request), context), "enabled": True, "disabled_reason": None}
    await _check_new(context, principal.tenant, changes["url"], but=before.id)
    changed = await context.store.update_endpoint(principal.tenant, before.id, changes)
    return json_answer(twice({**_shown(changed), "secret": changed.secrets[0]}))


async def delete_webhook(request: web.Request, context: Context) -> web.StreamResponse:
    principal = await admit(request, context, Scope.WEBHOOKS)
    found = await _found(request, context, principal.tenant)
    await context.store.delete_endpoint(principal.tenant, found.id)
    return web.Response(status=204)


def _wanted(body: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Fields of Endpoint. Raises InvalidRequestError, MissingFieldError."""
    url, named, secret = body.get("url"), body.get("events"), body.get("secret")
    if not url:
        raise MissingFieldError("url")
    if not isinstance(url, str) or len(url) > LONGEST_URL:
        raise invalid("url", f"must be a string of at most {LONGEST_URL} characters")
    Guard(context.settings.allow_private_urls).check_url(url)
    if not named:
        raise MissingFieldError("events")
    known = {*NAMES, *NEVER}
    if not isinstance(named, list) or not all(isinstance(name, str) and name in known for name in named):
        raise invalid("events", f"must be a list of {', '.join(sorted(known))}")
    mode = body.get("signature_mode", BODY)
    if not isinstance(mode, str) or mode not in {BODY, TIMESTAMPED}:
        raise invalid("signature_mode", f"must be {BODY} or {TIMESTAMPED}")
    found: dict[str, Any] = {
        "url": url,
        "events": tuple(dict.fromkeys(NAMES[name] for name in named if name in NAMES)),
        "options": {EVENTS: ",".join(dict.fromkeys(named)), SIGNATURE: mode},
    }
    if secret is not None:
        if not isinstance(secret, str) or not 1 <= len(secret) <= LONGEST_SECRET:
            raise invalid("secret", f"must be a string of 1 to {LONGEST_SECRET} characters")
        found |= {"secrets": (secret,), "secret_rotates_at": None}
    return found


async def _check_new(context: Context, tenant: str, url: str, *, but: str = "") -> None:
    """Raises ConflictError where another webhook has this address."""
    if any(other.url == url and other.id != but for other in await _theirs(context, tenant)):
        raise ConflictError("There is a webhook with this url already")


async def _theirs(context: Context, tenant: str) -> list[Endpoint]:
    return [endpoint for endpoint in await context.store.endpoints(tenant) if endpoint.style == STYLE]


async def _found(request: web.Request, context: Context, tenant: str) -> Endpoint:
    """Raises NoWebhookError."""
    try:
        found = await context.store.endpoint(tenant, request.match_info["webhook_id"])
    except NotFoundError:
        raise NoWebhookError from None
    if found.style != STYLE:
        raise NoWebhookError
    return found


def _shown(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "events": endpoint.options.get(EVENTS, "").split(","),
        "signature_mode": endpoint.options.get(SIGNATURE, BODY),
        "status": "active" if endpoint.enabled else "disabled",
        "active": endpoint.enabled,
        "created_at": moment(endpoint.created_at),
        "updated_at": moment(endpoint.created_at),
        "uri": f"/v1/webhooks/{endpoint.id}",
    }


# -- paths that are ours too ---------------------------------------------------------------------------------------

LIST: Final = "/webhooks"
ONE: Final = "/webhooks/{webhook_id}"

HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("GET", LIST): list_webhooks,
    ("POST", LIST): create_webhook,
    ("GET", ONE): get_webhook,
    ("PUT", ONE): update_webhook,
    ("DELETE", ONE): delete_webhook,
}


@web.middleware
async def claim(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Any:
    """`/v1/webhooks` is a path of ours; a request with VocaFuse's key header means VocaFuse's."""
    resource = request.match_info.route.resource
    if resource is not None and KEY_HEADER in request.headers and resource.canonical.startswith("/v1/webhooks"):
        theirs = HANDLERS.get((request.method, resource.canonical.removeprefix("/v1")))
        if theirs is not None:
            return await shaped(answer_fault, theirs)(request)
    return await handler(request)
