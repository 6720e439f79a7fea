"""Credentials: API keys, and short-lived tokens made with them."""

from __future__ import annotations

import secrets
from typing import Annotated, Final

from aiohttp import hdrs, web
from pydantic import Field

from bridge.errors import ConflictError, NotFoundError
from bridge.model.records import ApiKey
from bridge.ports import KeyStore
from bridge.web.auth import TOKEN_SCOPES, Scope, hash_key, new_key
from bridge.web.moments import Moment
from bridge.web.route import Answer, Ask, Incoming, Nothing, Outgoing, Route, answer

SHOWN_CHARACTERS: Final = 12
"""Of a key, for people to tell theirs apart: the prefix and 48 of its 256 bits."""

DEFAULT_LIFETIME_S: Final = 3600
MAX_LIFETIME_S: Final = 86_400
DEFAULT_SCOPES: Final = (Scope.CALLS_READ, Scope.MEDIA)


class KeyIn(Incoming):
    name: Annotated[str, Field(min_length=1, max_length=100)] = Field(description="what it is for")


class KeyOut(Outgoing):
    id: str
    name: str
    prefix: str = Field(description="its first characters")
    created_at: Moment
    revoked_at: Moment | None
    last_used_at: Moment | None


class KeyMade(KeyOut):
    key: str = Field(description="shown this once; only its hash is kept")


class KeyList(Outgoing):
    keys: tuple[KeyOut, ...]


class TokenIn(Incoming):
    identity: Annotated[str, Field(min_length=1, max_length=200)] = Field(description="whom it is made out to")
    expires_in: int = Field(default=DEFAULT_LIFETIME_S, ge=1, le=MAX_LIFETIME_S, description="seconds")
    scopes: tuple[Scope, ...] = Field(default=DEFAULT_SCOPES, min_length=1, description=", ".join(sorted(TOKEN_SCOPES)))


class TokenOut(Outgoing):
    token: str
    identity: str
    scopes: tuple[Scope, ...]
    expires_at: Moment


async def make_key(keys: KeyStore, *, tenant: str, name: str, now: float) -> tuple[ApiKey, str]:
    """A new key, kept by its hash alone: the record, and the key itself for its one showing."""
    secret = new_key()
    record = ApiKey(
        id=f"key_{secrets.token_hex(8)}",
        tenant=tenant,
        name=name,
        prefix=secret[:SHOWN_CHARACTERS],
        created_at=now,
    )
    await keys.create_key(record, hash_key(secret))
    return record, secret


async def create_key(ask: Ask[Nothing, KeyIn]) -> web.StreamResponse:
    store, now = ask.context.store, ask.context.clock.now()
    most = ask.context.settings.tenant_max_keys
    if sum(key.revoked_at is None for key in await store.keys(ask.tenant)) >= most:
        raise ConflictError(f"there are {most} keys already; revoke one first")
    record, secret = await make_key(store, tenant=ask.tenant, name=ask.body.name, now=now)
    return answer(KeyMade(**dict(KeyOut.of(record)), key=secret), status=201)


async def list_keys(ask: Ask[Nothing, Nothing]) -> web.StreamResponse:
    return answer(KeyList(keys=tuple(KeyOut.of(key) for key in await ask.context.store.keys(ask.tenant))))


async def revoke_key(ask: Ask[Nothing, Nothing]) -> web.StreamResponse:
    wanted = ask.path("key_id")
    if all(key.id != wanted for key in await ask.context.store.keys(ask.tenant)):
        raise NotFoundError(f"no key {wanted!r}")
    return answer(KeyOut.of(await ask.context.store.revoke_key(wanted, ask.context.clock.now())))


async def create_token(ask: Ask[Nothing, TokenIn]) -> web.StreamResponse:
    ask.limits.count_token(ask.tenant)
    made = ask.context.auth.signer.issue(
        tenant=ask.tenant, identity=ask.body.identity, scopes=ask.body.scopes, lifetime_s=ask.body.expires_in
    )
    return answer(TokenOut.of(made), status=201)


ROUTES: Final = (
    Route(
        method=hdrs.METH_POST,
        path="/v1/tokens",
        handler=create_token,
        scope=Scope.TOKENS,
        summary="Make a short-lived token for a browser or a media stream",
        tag="credentials",
        body=TokenIn,
        answers=(Answer(description="the token", status=201, model=TokenOut),),
    ),
    Route(
        method=hdrs.METH_POST,
        path="/v1/keys",
        handler=create_key,
        scope=Scope.KEYS,
        summary="Make an API key",
        tag="credentials",
        body=KeyIn,
        answers=(Answer(description="the key, shown this once", status=201, model=KeyMade),),
        faults=(ConflictError,),
    ),
    Route(
        method=hdrs.METH_GET,
        path="/v1/keys",
        handler=list_keys,
        scope=Scope.KEYS,
        summary="List API keys",
        tag="credentials",
        answers=(Answer(description="without the keys themselves", model=KeyList),),
    ),
    Route(
        method=hdrs.METH_DELETE,
        path="/v1/keys/{key_id}",
        handler=revoke_key,
        scope=Scope.KEYS,
        summary="Revoke an API key",
        tag="credentials",
        answers=(Answer(description="it opens nothing any more", model=KeyOut),),
    ),
)
