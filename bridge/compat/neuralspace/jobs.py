"""`/api/v2/jobs`: recordings that are put into words while the client asks how far they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiohttp import web

from bridge.compat.asking import admit, whole
from bridge.compat.neuralspace.faults import answer
from bridge.errors import InvalidRequestError
from bridge.model.call_key import CallKey
from bridge.model.foreign import object_from_json
from bridge.model.recordings import CARRIER, Job, JobStatus
from bridge.model.records import CallFilter, CallStatus
from bridge.model.words import Segment
from bridge.web.auth import Scope
from bridge.web.context import Context
from bridge.web.deletion import remove_call
from bridge.web.uploads import new_order, read_form

NAMES: Final[Mapping[JobStatus, str]] = {
    JobStatus.QUEUED: "Queued",
    JobStatus.IN_PROGRESS: "Started",
    JobStatus.COMPLETED: "Completed",
    JobStatus.FAILED: "Failed",
}
"""Its SDK asks until it reads `Completed`."""
STATUSES: Final[Mapping[CallStatus, JobStatus]] = {
    CallStatus.IN_PROGRESS: JobStatus.IN_PROGRESS,
    CallStatus.COMPLETED: JobStatus.COMPLETED,
    CallStatus.FAILED: JobStatus.FAILED,
}
USUAL_PAGE: Final = 20
LARGEST_PAGE: Final = 100


async def create(request: web.Request, context: Context) -> web.StreamResponse:
    principal = await admit(request)
    context.transcriber.check_room(principal.tenant)
    form = await read_form(request, context.transcriber, principal.tenant, files=("files", "file"))
    try:
        if form.upload is None:
            raise InvalidRequestError("send the recording in `files`")
        asked = _config(form.fields.get("config", "{}"))
        order = new_order(
            context,
            tenant=principal.tenant,
            name=form.filename,
            language=None if "language_detect" in asked else _language(asked),
            diarize=True if "speaker_diarization" in asked else None,
        )
        await context.transcriber.submit(order, form.upload)
    finally:
        form.discard()
    return answer({"jobId": order.call_id}, "Job created")


async def list_jobs(request: web.Request, context: Context) -> web.StreamResponse:
    """A page of them, the newest first: those that still wait, then those that have begun."""
    principal = await admit(request, scopes=(Scope.CALLS_READ,))
    page = whole(request.query, "page", 1, least=0, most=1_000_000)
    size = whole(request.query, "pageSize", USUAL_PAGE, least=1, most=LARGEST_PAGE)
    skip = max(0, page - 1) * size
    waiting = list(context.transcriber.waiting(principal.tenant))
    shown = waiting[skip : skip + size]
    begun = await context.store.calls_behind(
        principal.tenant,
        CallFilter(carrier=CARRIER),
        skip=max(0, skip - len(waiting)),
        limit=size - len(shown),
    )
    jobs = [
        *(_described(order.call_id, order.created_at, JobStatus.QUEUED, None) for order in shown),
        *(_described(call.call_id, call.started_at, STATUSES[call.status], call.duration_ms) for call in begun.calls),
    ]
    total = len(waiting) + begun.total
    return answer({"jobs": jobs, "total": total, "page": page, "pageSize": size}, "Jobs fetched")


async def get(request: web.Request, context: Context) -> web.StreamResponse:
    principal = await admit(request, scopes=(Scope.CALLS_READ,))
    job = await context.transcriber.job(principal.tenant, request.match_info["job"])
    told = {
        **_described(job.call_id, job.created_at, job.status, job.duration_ms),
        "messsage": job.error or "",
        "progress": _progress(job),
    }
    if job.status is JobStatus.COMPLETED:
        segments = await context.store.segments(principal.tenant, job.call_id)
        told["result"] = {"transcription": _transcription(segments)}
    return answer(told, "Job fetched")


async def delete(request: web.Request, context: Context) -> web.StreamResponse:
    """One that is not done is taken back first."""
    principal = await admit(request, scopes=(Scope.CALLS_WRITE,))
    job = await context.transcriber.job(principal.tenant, request.match_info["job"])
    await remove_call(context, CallKey(principal.tenant, job.call_id))
    return answer({"deletedCount": 1}, "Job deleted")


def _described(job_id: str, created_at: float, status: JobStatus, duration_ms: int | None) -> dict[str, Any]:
    return {
        "jobId": job_id,
        "timestamp": round(1000 * created_at),
        "status": NAMES[status],
        "audioDuration": None if duration_ms is None else duration_ms / 1000,
    }


def _config(given: str) -> Mapping[str, Any]:
    try:
        return object_from_json(given)
    except ValueError:
        raise InvalidRequestError("config is not a JSON object") from None


def _language(asked: Mapping[str, Any]) -> str | None:
    wanted = asked.get("file_transcription")
    language = wanted.get("language_id") if isinstance(wanted, Mapping) else None
    return language if isinstance(language, str) else None


def _progress(job: Job) -> Sequence[str]:
    """The states that it has passed."""
    names = list(NAMES.values())
    return names[: names.index(NAMES[job.status]) + 1] if job.status is not JobStatus.FAILED else [*names[:2], "Failed"]


def _transcription(segments: Sequence[Segment]) -> Mapping[str, Any]:
    return {
        "transcript": " ".join(segment.text for segment in segments),
        "timestamps": [
            {
                "word": word.word,
                "start": word.start_ms / 1000,
                "end": word.end_ms / 1000,
                "conf": word.confidence,
            }
            for segment in segments
            for word in segment.words
        ],
    }
