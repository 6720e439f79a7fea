"""Genesys AudioHook's signatures on WebSocket upgrades: HTTP Message Signatures, draft 11 (before RFC 9421). Pure.

developer.genesys.cloud/devapps/audiohook/security; draft-ietf-httpbis-message-signatures-11. The draft's
`@request-target` is path and query, without the method.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from bridge.ingest.signatures import PORTS, OneUse, same

INPUT: Final = "Signature-Input"
SIGNATURE: Final = "Signature"
API_KEY: Final = "X-API-KEY"
ORGANIZATION: Final = "Audiohook-Organization-Id"
SESSION: Final = "Audiohook-Session-Id"
CORRELATION: Final = "Audiohook-Correlation-Id"

TARGET: Final = "@request-target"
AUTHORITY: Final = "@authority"
COVERED: Final = (TARGET, AUTHORITY, *(name.lower() for name in (ORGANIZATION, SESSION, CORRELATION, API_KEY)))
"""What a signature has to cover, in whatever order."""

ALGORITHM: Final = "hmac-sha256"
SHORTEST_NONCE: Final = 22
"""Characters: 128 bits in base64."""

LIFETIME_S: Final = 10.0
"""How long after `created` an upgrade may come; `expires` may make it less."""
SKEW_S: Final = 30.0
"""By which Genesys's clock may differ from ours."""

LABEL: Final = r"(?<![\w*.-])([\w*.-]+)"
"""Looked for at its beginning only: a header of 8 KB that is one long word would take a second otherwise."""
INPUTS: Final = re.compile(LABEL + r'=(\(((?:"[^"]*"|\s)*)\)((?:\s*;\s*[\w*.-]+=(?:"[^"]*"|[^\s",;]+))*))')
"""`label=("name" "name");parameter=value`: label, all behind its `=`, the names, the parameters."""
NAME: Final = re.compile(r'"([^"]*)"')
PARAMETER: Final = re.compile(r';\s*([\w*.-]+)=(?:"([^"]*)"|([^\s",;]+))')
VALUES: Final = re.compile(LABEL + r"=:([A-Za-z0-9+/]+={0,2}):")


def sign(secret: str, url: str, headers: Mapping[str, str], covered: Sequence[str], parameters: str) -> bytes:
    """HMAC-SHA256 over what is `covered` of an upgrade to `url`.

    `secret` is the client secret as Genesys shows it, in base64; `parameters` is what Signature-Input has behind a
    label's `=`. Raises KeyError for a header that is not there.
    """
    lines = [f'"{name}": {_value(name, url, headers)}' for name in covered]
    base = "\n".join([*lines, f'"@signature-params": {parameters}'])
    return hmac.digest(base64.b64decode(secret), base.encode("utf-8", "surrogateescape"), "sha256")


def signed_once(secret: str, url: str, headers: Mapping[str, str], *, now: float) -> OneUse | None:
    """One of the upgrade's signatures that is right, covers what it has to, and is fresh at `now` (Unix seconds)."""
    given = dict(VALUES.findall(headers.get(SIGNATURE, "")))
    for label, parameters, names, described in INPUTS.findall(headers.get(INPUT, "")):
        covered = NAME.findall(names)
        told = {name: quoted or bare for name, quoted, bare in PARAMETER.findall(described)}
        until = _until(told, headers, now)
        if label not in given or not set(COVERED) <= set(covered) or until is None:
            continue
        try:
            expected = sign(secret, url, headers, covered, parameters)
        except KeyError:
            continue
        if same(base64.b64encode(expected).decode(), given[label]):
            return OneUse(f"{told.get('keyid', '')} {told['nonce']}", until)
    return None


def signed_headers(secret: str, url: str, headers: Mapping[str, str], *, nonce: str, now: float) -> dict[str, str]:
    """What Genesys adds to an upgrade with these `headers`."""
    created = int(now)
    names = " ".join(f'"{name}"' for name in COVERED)
    parameters = (
        f'({names});keyid="{headers[API_KEY]}";nonce="{nonce}";alg="{ALGORITHM}"'
        f";created={created};expires={created + int(LIFETIME_S)}"
    )
    signature = sign(secret, url, {name.lower(): value for name, value in headers.items()}, COVERED, parameters)
    return {INPUT: f"sig1={parameters}", SIGNATURE: f"sig1=:{base64.b64encode(signature).decode()}:"}


def _value(name: str, url: str, headers: Mapping[str, str]) -> str:
    address = urlsplit(url)
    if name == TARGET:
        return f"{address.path}?{address.query}" if address.query else address.path
    if name == AUTHORITY:
        return address.netloc.lower().removesuffix(f":{PORTS.get(address.scheme, '')}")
    return headers[name].strip()


def _until(told: Mapping[str, str], headers: Mapping[str, str], now: float) -> float | None:
    """Until when a signature is good by its own words; None where they do not fit the upgrade that it comes with."""
    try:
        created, expires = int(told["created"]), int(told.get("expires", told["created"]))
    except (KeyError, ValueError):
        return None
    until = min(expires, created + LIFETIME_S) + SKEW_S
    fits = (
        same(headers.get(API_KEY, ""), told.get("keyid", ""))
        and told.get("alg", ALGORITHM) == ALGORITHM
        and len(told.get("nonce", "")) >= SHORTEST_NONCE
        and created - SKEW_S <= now <= until
    )
    return until if fits else None
