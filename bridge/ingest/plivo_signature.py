"""Plivo's signatures, V3: on the WebSocket upgrade and on webhooks (plivo.com/docs, signature validation). Pure."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from bridge.ingest.signatures import same, spellings

SIGNATURE: Final = "X-Plivo-Signature-V3"
"""May hold several, separated by commas, while a secret rotates."""
NONCE: Final = "X-Plivo-Signature-V3-Nonce"

WEB: Final = {"ws": "http", "wss": "https"}

Fields = Sequence[tuple[str, str]]


def sign(secret: str, url: str, nonce: str, form: Fields = ()) -> str:
    """Base64 of the HMAC-SHA256 over the address, its query and the form's fields in order of their names, and `nonce`.

    A form is what a POST brings; a GET, and an upgrade, have none.
    """
    message = f"{_address(url, with_form=bool(form))}{_joined(form, '', '')}.{nonce}"
    return base64.b64encode(hmac.digest(secret.encode(), message.encode("utf-8", "surrogateescape"), "sha256")).decode()


def upgrade_is_signed(secret: str, url: str, headers: Mapping[str, str]) -> bool:
    """Whether a media socket's upgrade was signed for `url`, as `wss://…` or as `https://…`: Plivo leaves it open."""
    scheme = urlsplit(url).scheme
    web = urlunsplit(urlsplit(url)._replace(scheme=WEB.get(scheme, scheme)))
    return _matches(secret, dict.fromkeys([*spellings(url), *spellings(web)]), (), headers)


def form_is_signed(secret: str, url: str, form: Fields, headers: Mapping[str, str]) -> bool:
    """Whether a webhook was signed for `url`, its query string included."""
    return _matches(secret, spellings(url), form, headers)


def _matches(secret: str, urls: Iterable[str], form: Fields, headers: Mapping[str, str]) -> bool:
    nonce = headers.get(NONCE, "")
    given = [each.strip() for each in headers.get(SIGNATURE, "").split(",")]
    if not nonce:
        return False
    expected = [sign(secret, url, nonce, form) for url in urls]
    return any(same(mine, theirs) for theirs in given for mine in expected)


def _address(url: str, *, with_form: bool) -> str:
    found = urlsplit(url)
    query = _joined(parse_qsl(found.query, keep_blank_values=True), "=", "&")
    mark = "?" if query or with_form else ""
    return (
        urlunsplit((found.scheme, found.netloc, found.path, "", ""))
        + mark
        + query
        + ("." if query and with_form else "")
    )


def _joined(fields: Fields, equals: str, between: str) -> str:
    """In order of names, and of the values where a name has several."""
    return between.join(f"{name}{equals}{value}" for name, value in sorted(fields))
