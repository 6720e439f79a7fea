"""What a webhook try's outcome means: done, again at a certain time, or given up. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

SCHEDULE_S: Final = (0, 30, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 10 * 3600)
"""How long each try waits behind the one before (contract §6)."""
TRY_LIMIT_S: Final = 15.0
"""How long a receiver may take to answer."""
JITTER: Final = 0.1
"""A wait is longer by up to this part of it, so that what failed together does not come back together."""
LONGEST_RETRY_AFTER_S: Final = 24 * 3600.0
"""A receiver may ask for patience, not for ever."""
GONE: Final = 410


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a try went: the receiver's status, or why there is none."""

    status: int | None = None
    error: str | None = None
    retry_after: str | None = None
    """The header as it came: seconds, or an HTTP date (RFC 9110 §10.2.3)."""

    @property
    def delivered(self) -> bool:
        """A redirect is not: following it could lead anywhere."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        """The receiver wants nothing more at this address."""
        return self.status == GONE


def next_due(
    outcome: Outcome, *, number: int, now: float, chance: float, schedule_s: Sequence[float] = SCHEDULE_S
) -> float | None:
    """When a delivery is due again after its try `number` (from 1); None: never. `chance` is random, 0–1."""
    if outcome.delivered or outcome.gone or number >= len(schedule_s):
        return None
    wait_s = schedule_s[number] * (1 + JITTER * chance)
    return now + max(wait_s, _asked_s(outcome.retry_after, now))


def _asked_s(retry_after: str | None, now: float) -> float:
    """What Retry-After asks for; 0 when it says nothing or nonsense."""
    if retry_after is None:
        return 0.0
    asked = retry_after.strip()
    if asked.isascii() and asked.isdigit():
        return min(float(asked[:9]), LONGEST_RETRY_AFTER_S)
    try:
        wait_s = parsedate_to_datetime(asked).timestamp() - now
    except (ValueError, OverflowError):
        return 0.0
    return min(max(wait_s, 0.0), LONGEST_RETRY_AFTER_S)
