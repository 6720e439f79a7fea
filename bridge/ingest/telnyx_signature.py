"""Telnyx's signatures on webhooks: Ed25519 over the time and the raw body (developers.telnyx.com, webhooks). Pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bridge.ingest.signatures import MAX_AGE_S

SIGNATURE: Final = "telnyx-signature-ed25519"
TIMESTAMP: Final = "telnyx-timestamp"
KEY_BYTES: Final = 32
SECONDS: Final = re.compile("[0-9]{1,12}")


def public_key(text: str) -> Ed25519PublicKey:
    """The account's key as the portal shows it, in base64. Raises ValueError."""
    found = base64.b64decode(text, validate=True)
    if len(found) != KEY_BYTES:
        raise ValueError(f"a public key has {KEY_BYTES} bytes, this one {len(found)}")
    return Ed25519PublicKey.from_public_bytes(found)


def is_signed(key: str, body: bytes, headers: Mapping[str, str], *, now: float) -> bool:
    """Whether a webhook of any body was signed, within the last or next five minutes of `now` (Unix seconds)."""
    timestamp = headers.get(TIMESTAMP, "")
    if not SECONDS.fullmatch(timestamp) or abs(now - int(timestamp)) > MAX_AGE_S:
        return False
    try:
        signature = base64.b64decode(headers.get(SIGNATURE, ""), validate=True)
        public_key(key).verify(signature, timestamp.encode() + b"|" + body)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True
