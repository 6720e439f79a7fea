"""Under which address this server was called: behind a proxy only the settings know, else it is the caller's word."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from bridge.errors import InvalidRequestError
from bridge.settings import Settings

HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
"""RFC 9110 §7.2, as far as a name, an address and a port go."""


def public_base(request: web.Request, settings: Settings) -> str:
    """`https://calls.example.org`, without a slash at its end. Raises InvalidRequestError when `Host` names no host."""
    if settings.public_url is not None:
        return settings.public_url
    if host_of(f"//{request.host}") is None:
        raise InvalidRequestError("the header Host names no host", fields={"Host": "must be a name or an address"})
    return f"{request.scheme}://{request.host}"


def host_of(address: str) -> str | None:
    """The host that an `Origin`, or `//` and a `Host`, names; None where it is none."""
    _, _, named = address.partition("//")
    try:
        return urlsplit(f"//{named}").hostname if HOST.fullmatch(named) else None
    except ValueError:  # brackets around what is no address
        return None
