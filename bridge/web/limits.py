"""How much one tenant may ask of a server that others use too: requests by credential, tokens, live readers.

Calls at once are counted where calls are taken, endpoints and keys where they are made.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from bridge.errors import TooManyRequestsError
from bridge.ports import Clock
from bridge.settings import Settings
from bridge.web.auth import Principal

WINDOW_S: Final = 60.0
MOST_REMEMBERED: Final = 10_000
"""Spenders; whoever was heard of longest ago is forgotten first, and has its whole allowance again."""
READER_AGAIN_S: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What is left of an allowance."""

    limit: int
    remaining: int
    whole_again_s: int
    """Until all of it is there again."""
    wait_s: int
    """Until there is one more; 0 when this one was there."""

    def as_headers(self) -> dict[str, str]:
        """draft-ietf-httpapi-ratelimit-headers-06 §3: the three that clients look for."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.whole_again_s),
        }


SPENT: web.RequestKey[Spent] = web.RequestKey("rate limit", Spent)
"""What a request has left its sender: `observe.shut_doors` puts it on the answer."""


class Rate:
    """A bucket for each spender: it holds a minute's allowance, and fills evenly."""

    def __init__(self, clock: Clock, per_minute: int) -> None:
        """0: as many as anybody likes."""
        self._clock = clock
        self._limit = per_minute
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """By spender: how many were left, and when."""

    def spend(self, who: str) -> Spent | None:
        """One of `who`'s, if it is there. None where there is no limit."""
        if not self._limit:
            return None
        a_second = self._limit / WINDOW_S
        now = self._clock.monotonic()
        left, since = self._left.pop(who, (float(self._limit), now))
        left = min(float(self._limit), left + (now - since) * a_second)
        allowed = left >= 1
        left -= allowed
        self._left[who] = (left, now)
        if len(self._left) > MOST_REMEMBERED:
            self._left.popitem(last=False)
        return Spent(
            limit=self._limit,
            remaining=math.floor(left),
            whole_again_s=math.ceil((self._limit - left) / a_second),
            wait_s=0 if allowed else max(1, math.ceil((1 - left) / a_second)),
        )


class Limits:
    """One server's counts; they are forgotten with the process."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._unlimited = settings.auth == "off"
        self._requests = Rate(clock, settings.requests_per_minute)
        self._tokens = Rate(clock, settings.tenant_tokens_per_minute)
        self._most_readers = settings.tenant_max_readers
        self._readers: Counter[str] = Counter()

    def count_request(self, request: web.Request, principal: Principal) -> None:
        """Raises TooManyRequestsError. Either way the answer says what is left."""
        if self._unlimited:
            return
        spent = self._requests.spend(f"{principal.tenant} {principal.identity}")
        if spent is not None:
            request[SPENT] = spent
        _check(spent, "requests")

    def count_token(self, tenant: str) -> None:
        """Raises TooManyRequestsError. By tenant: each token is a sender of its own, with an allowance of its own."""
        _check(self._tokens.spend(tenant), "tokens")

    @contextmanager
    def reader(self, tenant: str) -> Iterator[None]:
        """A live stream for as long as it lasts. Raises TooManyRequestsError."""
        if self._readers[tenant] >= self._most_readers:
            raise TooManyRequestsError(
                f"{self._most_readers} live streams are open, which is all of one tenant's", retry_after=READER_AGAIN_S
            )
        self._readers[tenant] += 1
        try:
            yield
        finally:
            self._readers[tenant] -= 1
            if not self._readers[tenant]:
                del self._readers[tenant]


def _check(spent: Spent | None, what: str) -> None:
    if spent is not None and spent.wait_s:
        raise TooManyRequestsError(f"more than {spent.limit} {what} a minute", retry_after=spent.wait_s)


LIMITS: web.AppKey[Limits] = web.AppKey("limits", Limits)
