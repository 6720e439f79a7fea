"""How webhook messages are written: our way, and what another service's way has to say for itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from bridge.deliver.retry import SCHEDULE_S, TRY_LIMIT_S
from bridge.model.records import Delivery, Endpoint

METHOD: Final = "method"
"""The option of an endpoint that says how it is asked; POST where there is none."""


class Style(Protocol):
    """A way to write. The same delivery is the same bytes on every try."""

    schedule_s: Sequence[float]
    """How long each try waits behind the one before."""
    limit_s: float
    """How long a receiver may take to answer."""

    def body(self, delivery: Delivery, endpoint: Endpoint) -> bytes: ...

    def headers(self, delivery: Delivery, endpoint: Endpoint, now: float, body: bytes) -> Mapping[str, str]:
        """What goes along beside the headers of Standard Webhooks, which every message has."""
        ...


class Standard:
    """Ours: the payload as it is kept."""

    schedule_s: Sequence[float] = SCHEDULE_S
    limit_s = TRY_LIMIT_S

    def body(self, delivery: Delivery, endpoint: Endpoint) -> bytes:
        del endpoint
        return to_json(delivery.payload)

    def headers(self, delivery: Delivery, endpoint: Endpoint, now: float, body: bytes) -> Mapping[str, str]:
        del delivery, endpoint, now, body
        return {}


STANDARD: Final = Standard()


def to_json(payload: Mapping[str, Any]) -> bytes:
    """Without spaces; half a surrogate pair becomes a question mark."""
    return json.dumps(dict(payload), ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
