"""Webhooks as VocaFuse sends them: `{"event","timestamp","recording"}`, signed with `X-VocaFuse-Signature`.

The signature stands for the body alone, and no timestamp is sent: that is what the validators of all its SDKs accept
with whatever their users pass to them. An endpoint that asks for `timestamped` has all three headers, and the signature
stands for timestamp, delivery and body.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from bridge.compat.vocafuse.shapes import IDENTITY, confidence_of, most_spoken
from bridge.deliver.retry import SCHEDULE_S
from bridge.deliver.style import to_json
from bridge.model.records import Delivery, Endpoint

STYLE: Final = "vocafuse"

EVENTS: Final = "events"
"""The option that has the names an endpoint has subscribed to, in order, as it has spelt them."""
SIGNATURE: Final = "signature"
BODY, TIMESTAMPED = "body", "timestamped"

NOUNS: Final = ("recording", "voicenote")
KINDS: Final = {
    "created": "call.started",
    "transcribed": "call.completed",
    "completed": "call.completed",
    "failed": "call.failed",
    "deleted": "call.deleted",
}
"""What its events are here."""
STATUSES: Final = {"call.started": "processing", "call.completed": "completed", "call.deleted": "deleted"}
NEVER: Final = frozenset({"account.insufficient_balance"})
"""Events that may be subscribed to, and are not sent: nobody has a balance here."""
NAMES: Final = {f"{noun}.{event}": kind for noun in NOUNS for event, kind in KINDS.items()}


class Messages:
    """The `Style` port."""

    schedule_s: Sequence[float] = SCHEDULE_S[:5]
    """At once, then after 30 s, 5 min, 30 min and 2 h."""
    limit_s = 10.0

    def body(self, delivery: Delivery, endpoint: Endpoint) -> bytes:
        event = _name(delivery.type, endpoint)
        payload: Mapping[str, Any] = delivery.payload
        at = _unix(payload["timestamp"])
        if event is None:  # a test by hand
            return to_json({"event": delivery.type, "timestamp": at, "data": payload["data"]})
        told = _recording(payload["data"], delivery.type)
        message = {"event": event, "timestamp": at, event.partition(".")[0]: told, "data": told}
        if delivery.type == "call.failed":
            why = payload["data"]["error"]["message"]
            message["error"] = {"code": "TRANSCRIPTION_FAILED", "message": why}
        return to_json(message)

    def headers(self, delivery: Delivery, endpoint: Endpoint, now: float, body: bytes) -> Mapping[str, str]:
        secret = endpoint.secrets[0]
        named = {"X-VocaFuse-Delivery-ID": delivery.id}
        if endpoint.options.get(SIGNATURE) != TIMESTAMPED:
            return {**named, "X-VocaFuse-Signature": sign(secret, body)}
        at = str(int(now))
        signed = b".".join((at.encode(), delivery.id.encode(), body))
        return {**named, "X-VocaFuse-Timestamp": at, "X-VocaFuse-Signature": sign(secret, signed)}


def sign(secret: str, signed: bytes) -> str:
    """`sha256=` and the HMAC in hex; the secret's own UTF-8 bytes are the key, whatever it begins with."""
    return "sha256=" + hmac.digest(secret.encode(), signed, hashlib.sha256).hex()


def _name(kind: str, endpoint: Endpoint) -> str | None:
    """As the endpoint has spelt it."""
    wanted = endpoint.options.get(EVENTS, "").split(",")
    return next((name for name in wanted if NAMES.get(name) == kind), None)


def _recording(call: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Times are Unix seconds here, and the language is a code."""
    told: dict[str, Any] = {
        "id": call["call_id"],
        "identity": call["metadata"].get(IDENTITY),
        "status": STATUSES.get(kind, "failed"),
        "created_at": _unix(call["started_at"]),
    }
    if kind != "call.completed":
        return told
    said = call["transcript"]["segments"]
    return {
        **told,
        "duration": (call["duration_ms"] or 0) / 1000,
        "completed_at": _unix(call["ended_at"]),
        "transcription": {
            "text": " ".join(line["text"] for line in said),
            "confidence": confidence_of((line["end_ms"] - line["start_ms"], line["confidence"]) for line in said),
            "language": most_spoken([line["language"] for line in said]),
        },
    }


def _unix(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp())
