"""SignalWire's signatures on webhooks: its own, or Twilio's where a form is sent. Pure.

signalwire.com/docs: hex of the HMAC-SHA1 over the URL and the raw body, keyed with the project's signing key.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from typing import Final

from bridge.ingest import twilio_signature
from bridge.ingest.signatures import same, spellings

SIGNATURE: Final = "X-SignalWire-Signature"


def sign(secret: str, url: str, body: bytes) -> str:
    """Over the raw body."""
    return hmac.digest(secret.encode(), url.encode() + body, "sha1").hex()


def is_signed(secret: str, url: str, body: bytes, form: Sequence[tuple[str, str]], headers: Mapping[str, str]) -> bool:
    """Whether a webhook was signed for `url`: over its raw body, or over its form as Twilio does."""
    given = headers.get(SIGNATURE, "")
    expected = [sign(secret, url, body) for url in spellings(url)]
    expected += [twilio_signature.sign(secret, url, form) for url in spellings(url)]
    return any(same(each, given) for each in expected)
