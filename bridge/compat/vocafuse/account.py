"""API keys under their tenant's account, as VocaFuse manages them: an id and a secret in place of one key."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from bridge.compat.vocafuse.access import admit, invalid, read_json
from bridge.compat.vocafuse.faults import MissingFieldError, NoKeyError
from bridge.compat.vocafuse.shapes import json_answer, moment, page_of, twice
from bridge.errors import ConflictError
from bridge.model.records import ApiKey
from bridge.web.auth import Scope
from bridge.web.context import Context
from bridge.web.keys import make_key

LONGEST_NAME: Final = 100


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
