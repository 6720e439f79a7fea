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
