"""STUN and TURN servers, as a setting names them (RFC 7064, RFC 7065)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

WRITTEN: Final = re.compile(
    r"(?P<scheme>stuns?|turns?):(?:(?P<username>[^:@\s]+):(?P<credential>[^@\s]+)@)?"
    r"(?P<where>(?:[\w.-]+|\[[\da-fA-F:]+\])(?::\d{1,5})?(?:\?transport=(?:udp|tcp))?)",
    re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IceServer:
    """A server that tells a peer its address from outside (STUN), or passes its packets on (TURN)."""

    url: str
    """Without the credential."""
    username: str | None = None
    credential: str | None = None

    @property
    def link(self) -> str:
        """As WHIP tells it to a publisher (RFC 9725 §4.6)."""
        link = f'<{self.url}>; rel="ice-server"'
        if self.username is None:
            return link
        return f'{link}; username="{self.username}"; credential="{self.credential}"; credential-type="password"'


def ice_servers(text: str) -> tuple[IceServer, ...]:
    """`stun:host`, `turn:user:password@host:port?transport=tcp` …, comma-separated; `%2C` and the like within a name.

    Raises ValueError that says how it must be written, and never what was written: it may hold a password.
    """
    return tuple(_server(part.strip()) for part in text.split(",") if part.strip())


def _server(text: str) -> IceServer:
    found = WRITTEN.fullmatch(text)
    if found is None or found["scheme"].startswith("turn") is not (found["username"] is not None):
        raise ValueError("must be like stun:stun.example.org, turn:user:password@turn.example.org?transport=udp")
    url = f"{found['scheme']}:{found['where']}"
    if found["username"] is None:
        return IceServer(url=url)
    username, credential = unquote(found["username"]), unquote(found["credential"])
    if not f"{username}{credential}".isprintable() or set(f"{username}{credential}") & {'"', "\\"}:
        raise ValueError("must have no quotation mark, backslash or control character in a user's name or password")
    return IceServer(url=url, username=username, credential=credential)
