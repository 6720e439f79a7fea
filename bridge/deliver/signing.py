"""Standard Webhooks signatures (standardwebhooks.com, version 1.0.0)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from contextlib import suppress
from typing import Final

from bridge.model.records import Endpoint

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32


def new_secret() -> str:
    """A secret as the standard writes them: `whsec_` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """The signing key: what `whsec_…` encodes, padded or not; any other secret is its own UTF-8 bytes, as given."""
    encoded = secret.removeprefix(PREFIX)
    if encoded and encoded != secret:
        with suppress(ValueError):  # among them binascii.Error, and characters that base64 never has
            return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    return secret.encode()


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """`v1,` and the base64 HMAC-SHA256 of id, Unix seconds and body, joined by full stops."""
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key_of(secret), signed, hashlib.sha256)).decode()


def signing_secrets(endpoint: Endpoint, now: float) -> tuple[str, ...]:
    """Those whose signatures go along: the current one, and older ones until `secret_rotates_at`."""
    if endpoint.secret_rotates_at is not None and now < endpoint.secret_rotates_at:
        return endpoint.secrets
    return endpoint.secrets[:1]


def signed_headers(endpoint: Endpoint, message_id: str, now: float, body: bytes) -> dict[str, str]:
    """The three headers of one try, which begins at `now`."""
    timestamp = int(now)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(
            sign(secret, message_id, timestamp, body) for secret in signing_secrets(endpoint, now)
        ),
    }
