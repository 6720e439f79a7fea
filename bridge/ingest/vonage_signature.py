"""Vonage's signatures: a JWT by the account's signature secret in `Authorization`, on upgrades and webhooks. Pure.

developer.vonage.com/en/getting-started/concepts/webhooks#signed-webhooks.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import jwt

from bridge.ingest.signatures import MAX_AGE_S, OneUse, same

ALGORITHM: Final = "HS256"
ISSUER: Final = "Vonage"
SCHEME: Final = "bearer"


def bearer(secret: str, *, now: float, jti: str, body: bytes = b"") -> str:
    """What Vonage writes into `Authorization`."""
    claims = {"iss": ISSUER, "iat": int(now), "jti": jti, "application_id": "made-up"}
    if body:
        claims["payload_hash"] = hashlib.sha256(body).hexdigest()
    return f"Bearer {jwt.encode(claims, secret, algorithm=ALGORITHM)}"


def is_signed(secret: str, authorization: str, *, now: float, body: bytes = b"") -> bool:
    """Whether a request was signed within the last or next five minutes of `now` (Unix seconds), with this body."""
    claims = _claims(secret, authorization, now)
    if claims is None:
        return False
    return not body or same(hashlib.sha256(body).hexdigest(), str(claims.get("payload_hash", "")).lower())


def signed_once(secret: str, authorization: str, *, now: float) -> OneUse | None:
    """The same of an upgrade; a token without a `jti` is known by all that is signed of it."""
    claims = _claims(secret, authorization, now)
    if claims is None:
        return None
    signed, _, _ = authorization.rsplit(maxsplit=1)[-1].rpartition(".")
    return OneUse(str(claims.get("jti") or signed), float(claims["iat"]) + MAX_AGE_S)


def _claims(secret: str, authorization: str, now: float) -> dict[str, Any] | None:
    """What a token says; None for one that is not fresh, or not Vonage's."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != SCHEME:
        return None
    # Times are judged below, by the injected clock; PyJWT would ask the machine's.
    options: Any = {
        "require": ["iat"],
        "verify_exp": False,
        "verify_iat": False,
        "verify_nbf": False,
        "verify_aud": False,
    }
    try:
        claims: dict[str, Any] = jwt.decode(
            token.strip(), secret, algorithms=[ALGORITHM], issuer=ISSUER, options=options
        )
        fresh = abs(now - float(claims["iat"])) <= MAX_AGE_S
    except (jwt.InvalidTokenError, TypeError, ValueError, OverflowError):
        return None
    return claims if fresh else None
