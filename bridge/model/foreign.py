"""JSON that others wrote."""

from __future__ import annotations

import json
from typing import Any


def from_json(text: str | bytes) -> Any:
    """Raises ValueError for whatever is none, and for brackets nested by the thousand."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def object_from_json(text: str | bytes) -> dict[str, Any]:
    """Raises ValueError for whatever is no JSON object, too."""
    found = from_json(text)
    if not isinstance(found, dict):
        raise ValueError("not an object")  # noqa: TRY004  # as for all that cannot be read
    return found
