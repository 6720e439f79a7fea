"""Who may: API keys and short-lived tokens → a principal with a tenant and scopes."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

import jwt
from aiohttp import web

from bridge.errors import ForbiddenError, UnauthorisedError
from bridge.ports import Clock, KeyStore
from bridge.settings import Settings, is_loopback
from bridge.web.address import host_of

KEY_PREFIX: Final = "cbk_"
DEFAULT_TENANT: Final = "default"
MAX_CREDENTIAL: Final = 4096
"""Characters; longer ones are refused unread."""

ISSUER: Final = "callbridge"
ALGORITHM: Final = "HS256"
PURPOSE: Final = b"callbridge tokens"


class Scope(StrEnum):
    """What a credential may do. An API key has all of them, a token those it was made with."""

    CALLS_READ = "calls:read"
    CALLS_WRITE = "calls:write"
    MEDIA = "media"
    """Place calls and send audio."""
    UPLOAD = "upload"
    """Send recordings in under the token's own identity, and read those."""
    WEBHOOKS = "webhooks"
    SPEAKERS = "speakers"
    """Enrol and delete voices."""
    KEYS = "keys"
    TOKENS = "tokens"


ALL_SCOPES: Final = frozenset(Scope)
TOKEN_SCOPES: Final = ALL_SCOPES - {Scope.KEYS, Scope.TOKENS}
"""What a token may hold: it never makes further credentials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Whoever sent a request. `identity` is the key's id, or what the token was made out to."""

    tenant: str
    scopes: frozenset[Scope]
    identity: str

    def need(self, scope: Scope) -> None:
        """Raises ForbiddenError unless `scope` is held."""
        if scope not in self.scopes:
            raise ForbiddenError(f"this credential lacks the scope {scope.value!r}", scope=scope.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A signed token as it is handed out. `expires_at` is Unix seconds."""

    token: str
    identity: str
    scopes: tuple[Scope, ...]
    expires_at: float


class TokenSigner:
    """Makes and reads short-lived tokens: JWT, HS256.

    `secret_keys` are the installation's: the first signs, all are read, so that one can be replaced.
    """

    def __init__(self, secret_keys: Sequence[str], clock: Clock) -> None:
        self._keys = [hmac.digest(key.encode(), PURPOSE, hashlib.sha256) for key in secret_keys]
        self._clock = clock

    def issue(self, *, tenant: str, identity: str, scopes: Iterable[Scope], lifetime_s: int) -> Token:
        """Raises ForbiddenError for a scope that no token may hold."""
        wanted = tuple(sorted(set(scopes)))
        for scope in wanted:
            if scope not in TOKEN_SCOPES:
                raise ForbiddenError(f"a token cannot hold the scope {scope.value!r}", scope=scope.value)
        issued = int(self._clock.now())
        claims = {
            "iss": ISSUER,
            "sub": identity,
            "tenant": tenant,
            "scopes": [scope.value for scope in wanted],
            "iat": issued,
            "exp": issued + lifetime_s,
        }
        token = jwt.encode(claims, self._keys[0], algorithm=ALGORITHM)
        return Token(token=token, identity=identity, scopes=wanted, expires_at=float(issued + lifetime_s))

    def read(self, token: str) -> Principal | None:
        """None for a token that is not ours, was changed, or has expired."""
        return next((found for key in self._keys if (found := self._read(token, key)) is not None), None)

    def has_lapsed(self, token: str) -> bool:
        """Whether it is a token of ours whose time is over, and that is all that is wrong with it."""
        claims = self._claims(token, "sub")
        return claims is not None and claims["exp"] <= self._clock.now()

    def seal(self, claims: Mapping[str, Any], *, purpose: str, lifetime_s: int) -> str:
        """`claims` in a text that only we can have written. No token: it opens nothing but what asks for `purpose`."""
        sealed = {**claims, "iss": ISSUER, "aud": purpose, "exp": int(self._clock.now()) + lifetime_s}
        return jwt.encode(sealed, self._keys[0], algorithm=ALGORITHM)

    def unseal(self, sealed: str, *, purpose: str) -> Mapping[str, Any] | None:
        """The claims; None for what is not ours, was made for another purpose, or has lapsed."""
        claims = self._claims(sealed, "aud", audience=purpose)
        return claims if claims is not None and claims["exp"] > self._clock.now() else None

    def _read(self, token: str, key: bytes) -> Principal | None:
        try:
            claims = self._decode(token, key, "sub")
            if claims["exp"] <= self._clock.now():
                return None
            scopes = frozenset(Scope(scope) for scope in claims["scopes"]) & TOKEN_SCOPES
            return Principal(tenant=claims["tenant"], scopes=scopes, identity=claims["sub"])
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError):
            return None

    def _claims(self, token: str, needed: str, *, audience: str | None = None) -> Mapping[str, Any] | None:
        for key in self._keys:
            with suppress(jwt.InvalidTokenError):
                return self._decode(token, key, needed, audience=audience)
        return None

    def _decode(self, token: str, key: bytes, needed: str, *, audience: str | None = None) -> Mapping[str, Any]:
        # Expiry is judged by the injected clock; PyJWT would ask the machine's.
        options: Any = {"require": ["exp", needed], "verify_exp": False, "verify_iat": False}
        claims: Mapping[str, Any] = jwt.decode(
            token, key, algorithms=[ALGORITHM], issuer=ISSUER, audience=audience, options=options
        )
        return claims


class Auth:
    """Reads credentials. With `auth=off` everybody at this machine is tenant `default`."""

    def __init__(self, *, settings: Settings, keys: KeyStore, signer: TokenSigner) -> None:
        self._settings = settings
        self._keys = keys
        self.signer = signer
        bootstrap = settings.bootstrap_key
        self._bootstrap = hash_key(bootstrap.get_secret_value()) if bootstrap else None

    async def principal(self, request: web.Request, *, authorization: str | None = None) -> Principal:
        """Whoever sent this request: `Authorization: Bearer` (key or token), else `?token=` (a token only).

        `authorization` is read in place of the request's own header. Raises UnauthorisedError.
        """
        if self._settings.auth == "off":
            self._refuse_strangers(request)
            return _everybody()
        header = request.headers.get("Authorization", "") if authorization is None else authorization
        scheme, _, credential = header.partition(" ")
        if credential:
            found = await self.identify(credential.strip()) if scheme.lower() == "bearer" else None
        else:
            found = await self.identify(request.query.get("token", ""), from_url=True)
        if found is None:
            raise UnauthorisedError("send an API key or a token as 'Authorization: Bearer …'")
        return found

    async def identify(self, token: str, *, from_url: bool = False) -> Principal | None:
        """Whose credential this is, None when nobody's. An API key is not accepted `from_url`: URLs get logged."""
        if self._settings.auth == "off":
            return _everybody()
        if not token or len(token) > MAX_CREDENTIAL:
            return None
        if (found := self.signer.read(token)) is not None:
            return found
        return None if from_url else await self._owner(token)

    async def _owner(self, key: str) -> Principal | None:
        digest = hash_key(key)
        if self._bootstrap is not None and hmac.compare_digest(digest, self._bootstrap):
            return Principal(tenant=DEFAULT_TENANT, scopes=ALL_SCOPES, identity="bootstrap")
        # Looked up by hash: the time it takes tells nothing about a key that would fit.
        found = await self._keys.find_key(digest) if key.startswith(KEY_PREFIX) else None
        return None if found is None else Principal(tenant=found.tenant, scopes=ALL_SCOPES, identity=found.id)

    def _refuse_strangers(self, request: web.Request) -> None:
        """Without credentials, a web page open in this machine's browser must not pass for its user.

        A page's own requests name our host in `Host` (a rebound DNS name does not) and in `Origin`, where a browser
        sends one (another site's WebSocket does not).
        """
        public = urlsplit(self._settings.public_url or "").hostname
        named = [f"//{request.host}", *request.headers.getall("Origin", [])]
        for address in named:
            name = host_of(address) or ""
            if not is_loopback(name) and name != public:
                raise UnauthorisedError(
                    f"with auth=off only this machine and the public_url are answered, not {name!r}"
                )


def new_key() -> str:
    """A fresh API key: 256 random bits behind a prefix that secret scanners can find."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def hash_key(key: str) -> str:
    """How a key is kept. Plain SHA-256: 256 random bits need no slow hash."""
    return hashlib.sha256(key.encode()).hexdigest()


def _everybody() -> Principal:
    return Principal(tenant=DEFAULT_TENANT, scopes=ALL_SCOPES, identity="anybody")
