"""Webhooks that reached you: are they ours, and as they were sent?"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping
from typing import Final

TOLERANCE_S: Final = 300
"""How old a message may be whose signature stands for its time."""


class RequestValidator:
    """`secret` is the webhook's, as it was given or shown.

    `validate(payload, signature)` is for `X-VocaFuse-Signature`. `validate_request(payload, headers)` is for whatever
    came, Standard Webhooks among it, and refuses what is older than five minutes where that can be known.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def validate(
        self,
        payload: str | bytes,
        signature: str | None,
        url: str | None = None,
        timestamp: str | int | None = None,
        delivery_id: str | None = None,
    ) -> bool:
        """Whether `payload`, the body byte for byte, was signed with the secret. A missing signature is a wrong one."""
        del url
        if not signature:
            return False
        signed = [str(timestamp)] if timestamp else []
        signed += [delivery_id] if timestamp and delivery_id else []
        digest = hmac.digest(self._secret.encode(), _joined(*signed, payload), hashlib.sha256).hex()
        return _same(signature.removeprefix("sha256=").lower(), digest)

    def validate_request(
        self, payload: str | bytes, headers: Mapping[str, str], *, tolerance_s: float = TOLERANCE_S
    ) -> bool:
        """Whichever of our two ways it was signed in, by the headers it brought."""
        given = {name.lower(): value for name, value in headers.items()}
        if (signature := given.get("x-vocafuse-signature")) is not None:
            at, delivery = given.get("x-vocafuse-timestamp"), given.get("x-vocafuse-delivery-id")
            return (at is None or _is_now(at, tolerance_s)) and self.validate(
                payload, signature, timestamp=at, delivery_id=delivery
            )
        message, at = given.get("webhook-id", ""), given.get("webhook-timestamp", "")
        if not message or not _is_now(at, tolerance_s):
            return False
        digest = hmac.digest(_key_of(self._secret), _joined(message, at, payload), hashlib.sha256)
        expected = f"v1,{base64.b64encode(digest).decode()}"
        return any(_same(one, expected) for one in given.get("webhook-signature", "").split())

    def compute_signature(
        self, payload: str | bytes, timestamp: str | int | None = None, delivery_id: str | None = None
    ) -> str:
        """The hex that `validate` looks for; for tests of one's own."""
        signed = [str(timestamp)] if timestamp else []
        signed += [delivery_id] if timestamp and delivery_id else []
        return hmac.digest(self._secret.encode(), _joined(*signed, payload), hashlib.sha256).hex()

    def __repr__(self) -> str:
        return "RequestValidator('***')"


def _joined(*parts: str | bytes) -> bytes:
    return b".".join(part.encode() if isinstance(part, str) else part for part in parts)


def _key_of(secret: str) -> bytes:
    """Standard Webhooks: what `whsec_…` encodes; any other secret is its own bytes."""
    encoded = secret.removeprefix("whsec_")
    if encoded != secret:
        try:
            return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        except ValueError:
            pass
    return secret.encode()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _is_now(timestamp: str, tolerance_s: float) -> bool:
    return timestamp.isascii() and timestamp.isdigit() and abs(time.time() - int(timestamp)) <= tolerance_s
