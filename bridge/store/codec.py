"""Rows to values and back. JSON columns are ASCII: whatever a carrier sends, even half a surrogate pair, fits."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Protocol

from bridge.model.events import Event, body_from_dict, body_to_dict
from bridge.model.known_voice import KnownVoice
from bridge.model.records import (
    ApiKey,
    Attempt,
    CallRecord,
    CallStatus,
    Delivery,
    DeliveryStatus,
    Endpoint,
    Subscription,
)
from bridge.model.stream import Leg
from bridge.model.words import Segment, Word
from bridge.store.changes import Wish
from bridge.store.cipher import Cipher


class Row(Protocol):
    """A row by column name."""

    def __getitem__(self, name: str, /) -> Any: ...


def dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def call_row(call: CallRecord, number: int) -> dict[str, Any]:
    return {
        **{f.name: getattr(call, f.name) for f in dataclasses.fields(call)},
        "number": number,
        "legs": dump(call.legs),
        "metadata": dump(dict(call.metadata)),
    }


def call_of(row: Row) -> CallRecord:
    return CallRecord(
        **{f.name: row[f.name] for f in dataclasses.fields(CallRecord) if f.name not in {"legs", "metadata", "status"}},
        legs=tuple(Leg(leg) for leg in json.loads(row["legs"])),
        metadata=json.loads(row["metadata"]),
        status=CallStatus(row["status"]),
    )


def event_row(event: Event, number: int) -> dict[str, Any]:
    return {
        "call": number,
        "seq": event.seq,
        "id": event.id,
        "type": event.type,
        "time": event.time,
        "body": dump(body_to_dict(event.body)),
    }


def event_of(row: Row, call_id: str, tenant: str) -> Event:
    return Event(
        id=row["id"],
        seq=row["seq"],
        call_id=call_id,
        tenant=tenant,
        time=row["time"],
        body=body_from_dict(row["type"], json.loads(row["body"])),
    )


def segment_row(segment: Segment, number: int) -> dict[str, Any]:
    return {
        **{f.name: getattr(segment, f.name) for f in dataclasses.fields(segment)},
        "call": number,
        # Short keys: words are most of a transcript's bytes.
        "words": dump([_word_row(word) for word in segment.words]),
    }


def _word_row(word: Word) -> tuple[str | float, ...]:
    row = (word.word, word.start_ms, word.end_ms, word.confidence)
    return row if word.overlap is None else (*row, word.overlap)


def segment_of(row: Row) -> Segment:
    return Segment(
        **{f.name: row[f.name] for f in dataclasses.fields(Segment) if f.name not in {"leg", "words"}},
        leg=Leg(row["leg"]),
        words=tuple(
            Word(word=word, start_ms=start_ms, end_ms=end_ms, confidence=confidence, overlap=next(iter(overlap), None))
            for word, start_ms, end_ms, confidence, *overlap in json.loads(row["words"])
        ),
    )


def endpoint_row(endpoint: Endpoint, cipher: Cipher) -> dict[str, Any]:
    return {
        **{f.name: getattr(endpoint, f.name) for f in dataclasses.fields(endpoint)},
        "events": dump(endpoint.events),
        "secrets": cipher.encrypt(dump(endpoint.secrets)),
        "options": dump(dict(endpoint.options)),
    }


def endpoint_of(row: Row, cipher: Cipher) -> Endpoint:
    """Raises SetupError when the secrets were encrypted with another key."""
    return Endpoint(
        **{f.name: row[f.name] for f in dataclasses.fields(Endpoint) if f.name not in {"events", "secrets", "options"}},
        events=tuple(json.loads(row["events"])),
        options=json.loads(row["options"]),
        secrets=tuple(json.loads(cipher.decrypt(row["secrets"]))),
    )


def voice_row(voice: KnownVoice, cipher: Cipher) -> dict[str, Any]:
    return {
        **{f.name: getattr(voice, f.name) for f in dataclasses.fields(voice)},
        "direction": cipher.encrypt(dump(voice.direction)),
    }


def voice_of(row: Row, cipher: Cipher) -> KnownVoice:
    """Raises SetupError when the direction was encrypted with another key."""
    return KnownVoice(
        **{f.name: row[f.name] for f in dataclasses.fields(KnownVoice) if f.name != "direction"},
        direction=tuple(json.loads(cipher.decrypt(row["direction"]))),
    )


def wish_of(row: Row) -> Wish:
    return Wish(endpoint_id=row["id"], tenant=row["tenant"], events=frozenset(json.loads(row["events"])))


def subscription_row(wanted: Subscription) -> dict[str, Any]:
    return {**dataclasses.asdict(wanted), "events": dump(wanted.events)}


def call_wish_of(row: Row) -> Wish:
    """Of a subscription to one call."""
    return Wish(
        endpoint_id=row["endpoint_id"],
        tenant=row["tenant"],
        events=frozenset(json.loads(row["events"])),
        call_id=row["call_id"],
        url=row["url"],
    )


def delivery_row(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "tenant": delivery.tenant,
        "endpoint_id": delivery.endpoint_id,
        "call_id": delivery.call_id or None,
        "type": delivery.type,
        "payload": dump(dict(delivery.payload)),
        "status": delivery.status,
        "created_at": delivery.created_at,
        "due_at": delivery.due_at,
        "tries": delivery.tries,
        "url": delivery.url,
    }


def delivery_of(row: Row, attempts: tuple[Attempt, ...] = ()) -> Delivery:
    return Delivery(
        id=row["id"],
        tenant=row["tenant"],
        endpoint_id=row["endpoint_id"],
        call_id=row["call_id"] or "",
        type=row["type"],
        payload=json.loads(row["payload"]),
        status=DeliveryStatus(row["status"]),
        created_at=row["created_at"],
        due_at=row["due_at"],
        tries=row["tries"],
        url=row["url"],
        attempts=attempts,
    )


def attempt_row(attempt: Attempt, delivery_id: str) -> dict[str, Any]:
    return {**dataclasses.asdict(attempt), "delivery_id": delivery_id}


def attempt_of(row: Row) -> Attempt:
    return Attempt(**{f.name: row[f.name] for f in dataclasses.fields(Attempt)})


def key_of(row: Row) -> ApiKey:
    return ApiKey(**{f.name: row[f.name] for f in dataclasses.fields(ApiKey)})
