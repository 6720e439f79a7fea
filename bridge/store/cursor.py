"""Where a page of a list ends, as a word that asks for the next one."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from bridge.errors import InvalidRequestError
from bridge.model.foreign import from_json
from bridge.store.numbers import LAST


def to_cursor(place: Sequence[float | str]) -> str:
    """`place` is what the list is sorted by, of a page's last row."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def from_cursor(cursor: str, kinds: Sequence[type[float | int | str]]) -> tuple[Any, ...]:
    """The place, a value of each of `kinds`. Raises InvalidRequestError for a cursor that is not ours."""
    try:
        place = from_json(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError:
        place = None
    if not isinstance(place, list) or [type(value) for value in place] != list(kinds) or not all(map(_fits, place)):
        raise InvalidRequestError("cursor: not one that this list gave", fields={"cursor": "unknown"})
    return tuple(place)


def _fits(value: float | str) -> bool:
    """Whether a column may hold it."""
    return not isinstance(value, int) or 0 <= value <= LAST
