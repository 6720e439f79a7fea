"""What checking a carrier's signature takes, whoever the carrier is."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit, urlunsplit

SECURE: Final = {"ws": "wss", "http": "https"}
PORTS: Final = {"https": 443, "wss": 443, "http": 80, "ws": 80}

MAX_AGE_S: Final = 300.0
"""How far a signed time may lie from ours, on either side: what is older may be a replay."""


@dataclass(frozen=True, slots=True)
class OneUse:
    """A right signature that names itself, so that it can be told when it comes again."""

    id: str
    until: float
    """Unix seconds, behind which it is too old anyway."""


def spellings(url: str) -> Iterable[str]:
    """What may have been signed for `url`: TLS may end before us, and the usual port stands there or not."""
    found = urlsplit(url)
    for scheme in dict.fromkeys((found.scheme, SECURE.get(found.scheme, found.scheme))):
        usual = f":{PORTS.get(scheme, '')}"
        bare = found.netloc.removesuffix(usual)
        yield urlunsplit(found._replace(scheme=scheme, netloc=bare))
        if ":" not in bare.rpartition("]")[2]:  # behind the brackets of an IPv6 address
            yield urlunsplit(found._replace(scheme=scheme, netloc=bare + usual))


def same(expected: str, given: str) -> bool:
    """In constant time; bytes, because a peer's header need not be ASCII."""
    return hmac.compare_digest(expected.encode("utf-8", "surrogateescape"), given.encode("utf-8", "surrogateescape"))
