"""When a request is sent again. Pure."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

LONGEST_WAIT_S: Final = 60.0
AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that another try may better."""
REFUSED: Final = frozenset({429, 503})
"""Of those, the ones that say nothing has been done."""
REPEATABLE: Final = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
"""RFC 9110 §9.2.2: doing it twice is doing it once."""

DEFAULT_URL: Final = "http://127.0.0.1:8080"


def base_of(url: str | None) -> str:
    """Where the server is: as given, else `CALLBRIDGE_URL`, else this machine; paths bring the version themselves."""
    return (url or os.environ.get("CALLBRIDGE_URL") or DEFAULT_URL).rstrip("/").removesuffix("/v1")


@dataclass(frozen=True)
class Retries:
    """`most` tries behind the first; the n-th waits `delay_s` × 2ⁿ, or what the server asks for when that is longer."""

    most: int = 3
    delay_s: float = 1.0

    def wait_s(self, tried: int, method: str, *, status: int | None, asked_s: float | None = None) -> float | None:
        """Before the next try, after `tried` of them; None: there is none. `status` None: no answer came."""
        if tried > self.most:
            return None
        if status is not None and status not in AGAIN:
            return None
        if method not in REPEATABLE and status not in REFUSED:  # it may have been done
            return None
        return float(min(max(self.delay_s * 2 ** (tried - 1), asked_s or 0.0), LONGEST_WAIT_S))
