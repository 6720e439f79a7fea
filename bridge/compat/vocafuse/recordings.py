"""Recordings, also called voice notes: listed, read, deleted, their words fetched. Every call is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from aiohttp import web
from multidict import MultiMapping

from bridge.compat.vocafuse.access import admit, invalid
from bridge.compat.vocafuse.faults import NoRecordingError, NotReadyError, NoWordsError
from bridge.compat.vocafuse.shapes import (
    IDENTITY,
    json_answer,
    page_of,
    recording_of,
    recording_to_come,
    transcription_of,
    twice,
)
from bridge.errors import NotFoundError
from bridge.model.recordings import Order
from bridge.model.records import CallFilter, CallRecord, CallStatus
from bridge.store.payloads import meaning
from bridge.web.auth import Principal, Scope
from bridge.web.context import Context
from bridge.web.deletion import remove_call

NAMES: Final = ("recordings", "voicenotes")

DEFAULT_LIMIT: Final = 50
MOST_LIMIT: Final = 100

STATUSES: Final = {
    "processing": CallStatus.IN_PROGRESS,
    "transcribed": CallStatus.COMPLETED,
    "completed": CallStatus.COMPLETED,
    "failed": CallStatus.FAILED,
}
TO_COME: Final = frozenset({"pending", "uploading", "processing"})
"""Asking for these finds recordings that still wait."""


async def list_recordings(request: web.Request, context: Context) -> web.StreamResponse:
    principal = await admit(request, context, Scope.CALLS_READ)
    page = _number(request.query, "page", 0)
    limit = min(max(1, _number(request.query, "limit", DEFAULT_LIMIT)), MOST_LIMIT)
    items, total = await _listed(context, principal.tenant, request.query, skip=page * limit, limit=limit)
    return json_answer(page_of(items, NAMES, request, page=page, limit=limit, total=total))


async def get_recording(request: web.Request, context: Context) -> web.StreamResponse:
    principal = await admit(request, context, Scope.CALLS_READ, Scope.UPLOAD)
    found = await _found(request, context, principal)
    if isinstance(found, Order):
        return json_answer(twice(recording_to_come(found)))
    texts = await context.store.texts(principal.tenant, [found.call_id])
    return json_answer(twice(recording_of(found, texts.get(found.call_id, ""))))


async def get_transcription(request: web.Request, context: Context) -> web.StreamResponse:
    principal = await admit(request, context, Scope.CALLS_READ, Scope.UPLOAD)
    found = await _found(request, context, principal)
    if isinstance(found, Order) or found.status is CallStatus.IN_PROGRESS:
        raise NotReadyError
    if found.error is not None:
        raise NoWordsError(f"Transcription failed: {meaning(found.error)}")
    segments = await context.store.segments(principal.tenant, found.call_id)
    return json_answer(twice(transcription_of(found, segments, context.settings.model)))


async def delete_recording(request: web.Request, context: Context) -> web.StreamResponse:
    """One that is not done is taken back first."""
    principal = await admit(request, context, Scope.CALLS_WRITE)
    found = await _found(request, context, principal)
    await remove_call(context, found.key)
    return web.Response(status=204)


async def _found(request: web.Request, context: Context, principal: Principal) -> CallRecord | Order:
    """Raises NoRecordingError, also for a user who asks for another's."""
    wanted = request.match_info["recording_id"]
    found: CallRecord | Order | None = None
    try:
        found = await context.store.call(principal.tenant, wanted)
    except NotFoundError:
        waiting = context.transcriber.waiting(principal.tenant)
        found = next((order for order in waiting if order.call_id == wanted), None)
    if found is None:
        raise NoRecordingError
    if Scope.CALLS_READ not in principal.scopes and found.metadata.get(IDENTITY) != principal.identity:
        raise NoRecordingError
    return found


# -- lists ---------------------------------------------------------------------------------------------------------


async def _listed(
    context: Context, tenant: str, query: MultiMapping[str], *, skip: int, limit: int
) -> tuple[list[Mapping[str, Any]], int]:
    """Those that still wait come first: they are the newest."""
    wanted = _filter(query)
    status = query.get("status")
    waiting = _waiting(context.transcriber.waiting(tenant), wanted) if status is None or status in TO_COME else []
    if status in TO_COME and status not in STATUSES:
        return [recording_to_come(order) for order in waiting[skip : skip + limit]], len(waiting)
    shown = waiting[skip : skip + limit]
    page = await context.store.calls_behind(tenant, wanted, skip=max(0, skip - len(waiting)), limit=limit - len(shown))
    texts = await context.store.texts(tenant, [call.call_id for call in page.calls])
    begun = {call.call_id for call in page.calls}
    items: list[Mapping[str, Any]] = [
        *(recording_to_come(order) for order in shown if order.call_id not in begun),
        *(recording_of(call, texts.get(call.call_id, "")) for call in page.calls),
    ]
    return items, len(waiting) + page.total


def _waiting(orders: Sequence[Order], wanted: CallFilter) -> list[Order]:
    after, before = wanted.started_after or 0.0, wanted.started_before
    return [order for order in orders if order.created_at >= after and (before is None or order.created_at < before)]


def _filter(query: MultiMapping[str]) -> CallFilter:
    """Raises InvalidRequestError."""
    status = query.get("status")
    if status is not None and status not in STATUSES and status not in TO_COME:
        raise invalid("status", f"must be one of {', '.join(sorted({*STATUSES, *TO_COME}))}")
    return CallFilter(
        status=STATUSES.get(status or ""),
        started_after=_moment(query, "date_from"),
        started_before=_moment(query, "date_to", whole_day=True),
    )


def _moment(query: MultiMapping[str], name: str, *, whole_day: bool = False) -> float | None:
    """Unix seconds of an ISO 8601 date or date-time, UTC where it names no zone. With `whole_day` a bare date includes
    its day.
    """
    given = query.get(name, "").strip()
    if not given:
        return None
    try:
        if len(given) == len("2025-01-01"):
            day = date.fromisoformat(given) + timedelta(days=1 if whole_day else 0)
            return datetime.combine(day, time(), UTC).timestamp()
        found = datetime.fromisoformat(given.replace(" ", "+") if "T" in given else given)
    except (ValueError, OverflowError):
        raise invalid(name, "must be an ISO 8601 date or date-time") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _number(query: MultiMapping[str], name: str, default: int) -> int:
    given = query.get(name, "").strip()
    if not given:
        return default
    if not (given.isascii() and given.isdigit() and len(given) < 10):
        raise invalid(name, "must be a whole number, 0 or more")
    return int(given)
