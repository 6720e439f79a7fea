"""Calls as VocaFuse shows recordings. Every object is told twice: its fields at the top, and again under `data`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any, Final

from aiohttp import hdrs, web

from bridge.model.languages import LANGUAGES
from bridge.model.recordings import Order
from bridge.model.records import CallRecord, CallStatus
from bridge.model.words import Segment

IDENTITY: Final = "identity"
"""Under which the call's metadata has whose recording it is."""

STATUSES: Final = {
    CallStatus.IN_PROGRESS: "processing",
    CallStatus.COMPLETED: "transcribed",
    CallStatus.FAILED: "failed",
}

UNKNOWN: Final = dict.fromkeys(
    (
        "s3_key",
        "s3_bucket",
        "duration_seconds",
        "duration",
        "file_size_bytes",
        "file_size",
        "sample_rate",
        "channels",
        "bit_rate",
        "audio_codec",
        "features",
        "client_ip",
        "user_agent",
        "custom_tags",
        "processed_at",
    )
)
"""Null, not absent, where it is not known; always null what is not kept here."""


def json_answer(body: Mapping[str, Any], *, status: int = 200) -> web.Response:
    """What people said belongs in nobody's cache."""
    return web.json_response(body, status=status, headers={hdrs.CACHE_CONTROL: "no-store"})


def twice(fields: Mapping[str, Any]) -> dict[str, Any]:
    """At the top for its documentation's readers, under `data` for its SDKs'."""
    return {**fields, "data": fields}


def moment(seconds: float | None) -> str | None:
    """UTC without a zone, as its documentation writes times."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def recording_of(call: CallRecord, text: str) -> dict[str, Any]:
    seconds = None if call.duration_ms is None else call.duration_ms / 1000
    return {
        **UNKNOWN,
        **_identified(call.call_id, call.tenant, call.carrier_call_id, call.metadata),
        "duration_seconds": seconds,
        "duration": seconds,
        "sample_rate": call.sample_rate or None,
        "channels": len(call.legs),
        "audio_codec": call.codec,
        "status": STATUSES[call.status],
        "upload_source": call.carrier,
        "text": text,
        "created_at": moment(call.started_at),
        "updated_at": moment(call.ended_at or call.started_at),
        "processed_at": moment(call.ended_at),
    }


def recording_to_come(order: Order) -> dict[str, Any]:
    """One that waits to be put into words."""
    return {
        **UNKNOWN,
        **_identified(order.call_id, order.tenant, order.name, order.metadata),
        "status": "processing",
        "upload_source": "recording",
        "text": "",
        "created_at": moment(order.created_at),
        "updated_at": moment(order.created_at),
    }


def _identified(call_id: str, tenant: str, name: str, metadata: Mapping[str, str]) -> dict[str, Any]:
    identity = metadata.get(IDENTITY)
    return {
        "id": call_id,
        "recording_id": call_id,
        "voicenote_id": call_id,
        "tenant_id": tenant,
        "user_id": identity,
        "identity": identity,
        "original_filename": name or None,
        "audio_format": PurePath(name).suffix.lstrip(".").lower() or None,
        "metadata": dict(metadata),
        "uri": f"/v1/recordings/{call_id}",
    }


def transcription_of(call: CallRecord, segments: Sequence[Segment], model: str) -> dict[str, Any]:
    """The language by its English name here; webhooks have its code."""
    code = most_spoken([segment.language for segment in segments])
    took_s = None if call.ended_at is None else call.ended_at - call.started_at
    return {
        "id": call.call_id,
        "recording_id": call.call_id,
        "voicenote_id": call.call_id,
        "text": " ".join(segment.text for segment in segments),
        "confidence": confidence_of((segment.end_ms - segment.start_ms, segment.confidence) for segment in segments),
        "language": None if code is None else LANGUAGES.get(code, code).lower(),
        "provider": "callbridge",
        "model": model,
        "processing_duration_ms": None if took_s is None else round(took_s * 1000),
        "words": [_word(word.word, word.start_ms, word.end_ms, word.confidence) for s in segments for word in s.words],
        "created_at": moment(call.ended_at),
    }


def _word(word: str, start_ms: int, end_ms: int, confidence: float) -> dict[str, Any]:
    start, end = start_ms / 1000, end_ms / 1000
    return {"word": word, "start": start, "end": end, "start_time": start, "end_time": end, "confidence": confidence}


def confidence_of(said: Iterable[tuple[int, float]]) -> float:
    """0–1, of segments' milliseconds and confidences, long ones counting for more; 0 where nothing was said."""
    said = list(said)
    spoken = sum(ms for ms, _ in said)
    return round(sum(ms * confidence for ms, confidence in said) / spoken, 4) if spoken else 0.0


def most_spoken(codes: Sequence[str]) -> str | None:
    """The language of most segments; None where nothing was said."""
    return max(codes, key=codes.count) if codes else None


def page_of(
    items: Sequence[Mapping[str, Any]], names: Sequence[str], request: web.Request, *, page: int, limit: int, total: int
) -> dict[str, Any]:
    """A list under each of `names`, with where its neighbours are, in the request's own spelling."""

    def at(number: int) -> str:
        return str(request.rel_url.update_query(page=number, limit=limit))

    has_more = (page + 1) * limit < total
    return {
        **{name: list(items) for name in (*names, "data")},
        "uri": at(page),
        "first_page_uri": at(0),
        "next_page_uri": at(page + 1) if has_more else None,
        "previous_page_uri": at(page - 1) if page else None,
        "page": page,
        "page_size": limit,
        "total": total,
        "pagination": {"page": page, "limit": limit, "total": total, "has_more": has_more},
    }
