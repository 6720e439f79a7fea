"""Twilio's signatures: on the WebSocket upgrade and on webhooks (twilio.com/docs/usage/security). Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import parse_qs, urlsplit

from bridge.ingest.signatures import same, spellings

SIGNATURE: Final = "X-Twilio-Signature"
SETTINGS: Final = "X-Twilio-Webhooks-Signature-Settings"
"""`key=<id>,algorithm=HMAC_SHA256`, sent when the secret is a shared key's; absent means SHA-1 and the auth token."""

HASHES: Final = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}


def sign(secret: str, url: str, form: Iterable[tuple[str, str]] = (), *, algorithm: str = "HMAC_SHA1") -> str:
    """Base64 of the HMAC over `url` and then every distinct field of `form`, name and value, sorted by bytes.

    Raises KeyError for an algorithm that Twilio has not named.
    """
    fields = sorted({(name.encode(), value.encode()) for name, value in form})
    message = url.encode() + b"".join(name + value for name, value in fields)
    return base64.b64encode(hmac.digest(secret.encode(), message, HASHES[algorithm])).decode()


def upgrade_is_signed(secret: str, url: str, headers: Mapping[str, str]) -> bool:
    """Whether a media socket's upgrade was signed for `url`."""
    return _matches(secret, url, (), headers)


def form_is_signed(secret: str, url: str, form: Iterable[tuple[str, str]], headers: Mapping[str, str]) -> bool:
    """Whether a webhook with a form body (or none) was signed for `url`, its query string included."""
    return _matches(secret, url, tuple(form), headers)


def body_is_signed(secret: str, url: str, body: bytes, headers: Mapping[str, str]) -> bool:
    """Whether a webhook whose URL names its body's hash (`bodySHA256`) was signed: then the URL alone is."""
    named = parse_qs(urlsplit(url).query).get("bodySHA256", [""])[0]
    return same(hashlib.sha256(body).hexdigest(), named.lower()) and _matches(secret, url, (), headers)


def _matches(secret: str, url: str, form: Iterable[tuple[str, str]], headers: Mapping[str, str]) -> bool:
    algorithm = _algorithm(headers.get(SETTINGS, ""))
    if algorithm not in HASHES:
        return False
    given = headers.get(SIGNATURE, "")
    return any(same(sign(secret, spelt, form, algorithm=algorithm), given) for spelt in spellings(url))


def _algorithm(settings: str) -> str:
    for setting in settings.split(","):
        name, _, value = setting.partition("=")
        if name.strip() == "algorithm" and value.strip():
            return value.strip().upper()
    return "HMAC_SHA1"
