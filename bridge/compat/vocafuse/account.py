"""A tenant's account, and its API keys as VocaFuse manages them: an id and a secret in place of one key."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from bridge.compat.vocafuse.access import admit, invalid, read_json
from bridge.compat.vocafuse.faults import MissingFieldError, NoKeyError
from bridge.compat.vocafuse.shapes import json_answer, moment, page_of, twice
from bridge.errors import ConflictError
from bridge.model.records import Account, ApiKey, CallFilter
from bridge.web.auth import Scope
from bridge.web.context import Context
from bridge.web.keys import make_key
from bridge.web.uploads import language_of

LONGEST_NAME: Final = 100

LANGUAGE: Final = "default_language"
"""The setting that recordings are read in; none: it is found out."""


async def get_account(request: web.Request, context: Context) -> web.StreamResponse:
    principal = await admit(request, context, Scope.KEYS)
    return json_answer(twice(await _account(context, principal.tenant)))


async def update_account(request: web.Request, context: Context) -> web.StreamResponse:
    """Settings stand in `settings` or beside it: its Python SDK sends them so."""
    principal = await admit(request, context, Scope.KEYS)
    body = dict(await read_json(request))
    inner = body.pop("settings", {})
    if not isinstance(inner, dict):
        raise invalid("settings", "must be an object")
    wanted = {**body, **inner}
    account = await context.store.account(principal.tenant)
    name, chosen = wanted.pop("name", account.name), wanted.pop(LANGUAGE, account.settings.get(LANGUAGE))
    if not isinstance(name, str) or not 1 <= len(name) <= LONGEST_NAME:
        raise invalid("name", f"must be a string of 1 to {LONGEST_NAME} characters")
    for field in wanted:
        raise invalid(field, "is not to be set here" if field != "webhook_url" else "is set by POST /webhooks")
    settings: dict[str, str] = {}
    if chosen is not None:
        language = language_of(str(chosen), context.settings.model)
        settings = {LANGUAGE: language} if language is not None else {}
    await context.store.keep_account(Account(tenant=principal.tenant, name=name, settings=settings))
    return json_answer(twice(await _account(context, principal.tenant)))


async def _account(context: Context, tenant: str) -> dict[str, Any]:
    account = await context.store.account(tenant)
    recordings = (await context.store.calls_behind(tenant, CallFilter(), skip=0, limit=0)).total
    return {
        "id": tenant,
        "tenant_id": tenant,
        "name": account.name,
        "email": None,
        "plan": None,
        "created_at": None,
        "settings": {LANGUAGE: account.settings.get(LANGUAGE), "webhook_url": None, "notifications_enabled": False},
        "usage": {
            "recordings_count": recordings,
            "voicenotes_count": recordings,
            "total_duration": None,
            "api_calls_count": None,
        },
    }


async def list_keys(request: web.Request, context: Context) -> web.StreamResponse:
    principal = await admit(request, context, Scope.KEYS)
    found = [_shown(key) for key in await _live(context, principal.tenant)]
    return json_answer(page_of(found, ("api_keys",), request, page=0, limit=max(1, len(found)), total=len(found)))


async def create_key(request: web.Request, context: Context) -> web.StreamResponse:
    principal = await admit(request, context, Scope.KEYS)
    name = (await read_json(request)).get("name")
    if name is None or name == "":
        raise MissingFieldError("name")
    if not isinstance(name, str) or len(name) > LONGEST_NAME:
        raise invalid("name", f"must be a string of at most {LONGEST_NAME} characters")
    most = context.settings.tenant_max_keys
    if len(await _live(context, principal.tenant)) >= most:
        raise ConflictError(f"There are {most} API keys already")
    made, secret = await make_key(context.store, tenant=principal.tenant, name=name, now=context.clock.now())
    return json_answer(twice({**_shown(made), "secret": secret, "api_secret": secret}), status=201)


async def get_key(request: web.Request, context: Context) -> web.StreamResponse:
    principal = await admit(request, context, Scope.KEYS)
    return json_answer(twice(_shown(await _key(request, context, principal.tenant))))


async def delete_key(request: web.Request, context: Context) -> web.StreamResponse:
    principal = await admit(request, context, Scope.KEYS)
    key = await _key(request, context, principal.tenant)
    await context.store.revoke_key(key.id, context.clock.now())
    return web.Response(status=204)


async def _key(request: web.Request, context: Context, tenant: str) -> ApiKey:
    """Raises NoKeyError."""
    wanted = request.match_info["key_id"]
    found = next((key for key in await _live(context, tenant) if key.id == wanted), None)
    if found is None:
        raise NoKeyError
    return found


async def _live(context: Context, tenant: str) -> list[ApiKey]:
    return [key for key in await context.store.keys(tenant) if key.revoked_at is None]


def _shown(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "key": key.id,
        "api_key": key.id,
        "created_at": moment(key.created_at),
        "last_used_at": moment(key.last_used_at),
    }
