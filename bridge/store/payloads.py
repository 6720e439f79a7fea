"""What a webhook says (contract §6): `{"type","timestamp","data"}`. The HTTP API shows calls and transcripts alike."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, Final

from bridge.errors import BridgeError
from bridge.model.events import Event, rfc3339
from bridge.model.records import CallRecord
from bridge.model.words import Segment, as_fields


def delivery_id(endpoint_id: str, event_id: str, kind: str) -> str:
    """The `webhook-id`. Made from what it stands for, so that a write that is repeated makes no second message."""
    return "msg_" + hashlib.sha256(f"{endpoint_id}\n{event_id}\n{kind}".encode()).hexdigest()[:32]


def event_payload(event: Event, call: CallRecord) -> dict[str, Any]:
    """A webhook of an ordinary event type: the event as subscribers see it, with whose call it is."""
    identity = {
        "call_id": call.call_id,
        "carrier": call.carrier,
        "carrier_call_id": call.carrier_call_id,
        "legs": list(call.legs),
        "metadata": dict(call.metadata),
        "started_at": rfc3339(call.started_at),
    }
    return {"type": event.type, "timestamp": rfc3339(event.time), "data": identity | event.to_dict()}


def ended_payload(call: CallRecord, segments: Sequence[Segment]) -> dict[str, Any]:
    """`call.completed`, or `call.failed` when the call ended with an error; both carry what was understood."""
    data = call_fields(call) | {"transcript": transcript_fields(segments, settled=call.settled)}
    return {"type": ended_type(call), "timestamp": rfc3339(call.ended_at or call.started_at), "data": data}


DELETED: Final = "call.deleted"


def deleted_payload(call: CallRecord, now: float) -> dict[str, Any]:
    """Whose words are gone by now; nothing of them."""
    data = {
        "call_id": call.call_id,
        "carrier": call.carrier,
        "carrier_call_id": call.carrier_call_id,
        "metadata": dict(call.metadata),
        "started_at": rfc3339(call.started_at),
    }
    return {"type": DELETED, "timestamp": rfc3339(now), "data": data}


def ended_type(call: CallRecord) -> str:
    return "call.completed" if call.error is None else "call.failed"


def call_fields(call: CallRecord) -> dict[str, Any]:
    """A call as JSON: clock times RFC 3339, `error` null or `{"code","message"}`, the tenant left out."""
    return {
        "call_id": call.call_id,
        "carrier": call.carrier,
        "carrier_call_id": call.carrier_call_id,
        "status": call.status.value,
        "started_at": rfc3339(call.started_at),
        "ended_at": None if call.ended_at is None else rfc3339(call.ended_at),
        "duration_ms": call.duration_ms,
        "reason": call.reason,
        "error": None if call.error is None else {"code": call.error, "message": meaning(call.error)},
        "legs": [leg.value for leg in call.legs],
        "codec": call.codec,
        "sample_rate": call.sample_rate,
        "metadata": dict(call.metadata),
        "settled": call.settled,
        "last_seq": call.last_seq,
    }


def transcript_fields(segments: Sequence[Segment], *, settled: bool) -> dict[str, Any]:
    """A transcript as JSON. `text` has a line for each segment; `settled` false says that it may yet be revised."""
    return {
        "text": "\n".join(segment.text for segment in segments),
        "segments": [dataclasses.asdict(segment, dict_factory=as_fields) for segment in segments],
        "settled": settled,
    }


def meaning(code: str) -> str:
    """A stable error code in a sentence for people."""
    for kind in _kinds(BridgeError):
        if kind.code == code and kind.__doc__:
            return " ".join(kind.__doc__.split())
    return "The call ended with an error."


def _kinds(parent: type[BridgeError]) -> Iterator[type[BridgeError]]:
    yield parent
    for child in parent.__subclasses__():
        yield from _kinds(child)
