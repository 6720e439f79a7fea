"""Who is served how much, when there is more to do than hands."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence


def shares(waiting: Sequence[str], *, behind: str, limit: int, room: Mapping[str, int]) -> dict[str, int]:
    """Deal `limit` out one by one to those `waiting` (sorted), beginning behind `behind`, nobody over their `room`.

    Those who got something come back in the order they were first served.
    """
    start = bisect_right(waiting, behind)
    line = [name for name in (*waiting[start:], *waiting[:start]) if room[name] > 0]
    dealt: dict[str, int] = {}
    while line and limit > 0:
        for name in line[:limit]:
            dealt[name] = dealt.get(name, 0) + 1
            limit -= 1
        line = [name for name in line if dealt.get(name, 0) < room[name]]
    return dealt
