"""Server-Sent Events, read line by line (WHATWG HTML §9.2.6)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Reader:
    """`feed` lines without their ends; an event comes out with the empty line behind it."""

    last_id: str
    """Where a new connection goes on."""
    retry_s: float | None = None
    """How long the server wants to be left alone before that."""
    _data: list[str] = field(default_factory=list)
    _id: str | None = None
    """Of the event that is being told: it counts once that has been."""

    def feed(self, line: str) -> dict[str, Any] | None:
        if not line:
            data = "\n".join(self._data)
            self.last_id = self.last_id if self._id is None else self._id
            self.reconnected()
            return json.loads(data) if data else None
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "id":
            self._id = value
        elif name == "retry" and value.isdigit():
            self.retry_s = int(value) / 1000
        return None

    def reconnected(self) -> None:
        """What was half told is told again."""
        self._data.clear()
        self._id = None
