"""Calls and transcripts, read back and deleted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Final, Literal

from aiohttp import hdrs, web
from pydantic import Field

from bridge.captions import as_srt, as_text, as_vtt
from bridge.errors import ConflictError
from bridge.model.call_key import CallKey
from bridge.model.records import CallFilter, CallStatus
from bridge.model.stream import Leg
from bridge.model.words import Segment
from bridge.rttm import as_rttm
from bridge.store.payloads import transcript_fields
from bridge.web.auth import Scope
from bridge.web.deletion import remove_call
from bridge.web.moments import Moment, MomentIn
from bridge.web.route import Answer, Ask, Incoming, Nothing, Outgoing, Route, answer
from bridge.web.said import Said

Cursor = Annotated[
    str | None, Field(max_length=500, description="`cursor` of the page before, of a list with the same filters")
]


class CallQuery(Incoming):
    status: CallStatus | None = None
    started_after: MomentIn | None = None
    started_before: MomentIn | None = None
    ended_after: MomentIn | None = Field(
        default=None, description="for receivers that reconcile: what ended since they looked"
    )
    text: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="words of the transcript, in any order; calls are searched from their end on"
    )
    carrier_call_id: Annotated[str, Field(max_length=200)] | None = None
    limit: int = Field(default=50, ge=1, le=200)
    cursor: Cursor = None

    def as_filter(self) -> CallFilter:
        return CallFilter(
            status=self.status,
            started_after=self.started_after.timestamp() if self.started_after else None,
            started_before=self.started_before.timestamp() if self.started_before else None,
            ended_after=self.ended_after.timestamp() if self.ended_after else None,
            text=self.text,
            carrier_call_id=self.carrier_call_id,
        )


class CallOut(Outgoing):
    call_id: str
    status: CallStatus
    carrier: str
    carrier_call_id: str
    legs: tuple[Leg, ...]
    codec: str
    sample_rate: int
    metadata: Mapping[str, str]
    started_at: Moment
    ended_at: Moment | None
    duration_ms: int | None
    reason: str | None = Field(description="why it ended; null while it goes on")
    error: str | None = Field(description="a stable code, when `reason` is `error`")
    settled: bool = Field(description="whether the text will not be revised any more")
    last_seq: int = Field(description="`seq` of the latest event kept")


class CallPage(Outgoing):
    calls: tuple[CallOut, ...]
    cursor: str | None = Field(description="asks for the next page; null at the end")


class TranscriptQuery(Incoming):
    format: Literal["json", "txt", "srt", "vtt", "rttm"] = "json"


class TranscriptOut(Outgoing):
    call_id: str
    settled: bool
    text: str = Field(description="a line a segment")
    segments: tuple[Said, ...]


TEXT_FORMS: Final[dict[str, tuple[str, Callable[[Sequence[Segment], str], str]]]] = {
    "txt": ("text/plain", lambda segments, _: as_text(segments)),
    "srt": ("application/x-subrip", lambda segments, _: as_srt(segments)),
    "vtt": ("text/vtt", lambda segments, _: as_vtt(segments)),
    "rttm": ("text/plain", as_rttm),
}
"""How a transcript is written for people, players and those who count speakers; a call's id is its name."""


async def list_calls(ask: Ask[CallQuery, Nothing]) -> web.StreamResponse:
    wanted = ask.query
    page = await ask.context.store.calls(ask.tenant, wanted.as_filter(), cursor=wanted.cursor, limit=wanted.limit)
    return answer(CallPage(calls=tuple(CallOut.of(call) for call in page.calls), cursor=page.cursor))


async def get_call(ask: Ask[Nothing, Nothing]) -> web.StreamResponse:
    return answer(CallOut.of(await ask.context.store.call(ask.tenant, ask.path("call_id"))))


async def delete_call(ask: Ask[Nothing, Nothing]) -> web.StreamResponse:
    await remove_call(ask.context, CallKey(ask.tenant, ask.path("call_id")))
    return web.Response(status=204)


async def get_transcript(ask: Ask[TranscriptQuery, Nothing]) -> web.StreamResponse:
    store, call_id, form = ask.context.store, ask.path("call_id"), ask.query.format
    record = await store.call(ask.tenant, call_id)
    segments = await store.segments(ask.tenant, call_id)
    if form == "json":
        return answer(TranscriptOut(call_id=call_id, **transcript_fields(segments, settled=record.settled)))
    media_type, write = TEXT_FORMS[form]
    kept = {
        hdrs.CACHE_CONTROL: "no-store",
        # The id may hold whatever a carrier's parameter held; the browser's name for the file comes from the URL.
        hdrs.CONTENT_DISPOSITION: "inline",
    }
    return web.Response(text=write(segments, call_id), content_type=media_type, charset="utf-8", headers=kept)


ROUTES: Final = (
    Route(
        method=hdrs.METH_GET,
        path="/v1/calls",
        handler=list_calls,
        scope=Scope.CALLS_READ,
        summary="List calls, newest first",
        tag="calls",
        query=CallQuery,
        answers=(Answer(description="a page of calls", model=CallPage),),
    ),
    Route(
        method=hdrs.METH_GET,
        path="/v1/calls/{call_id}",
        handler=get_call,
        scope=Scope.CALLS_READ,
        summary="One call",
        tag="calls",
        answers=(Answer(description="the call", model=CallOut),),
    ),
    Route(
        method=hdrs.METH_DELETE,
        path="/v1/calls/{call_id}",
        handler=delete_call,
        scope=Scope.CALLS_WRITE,
        summary="Delete a finished call, or a recording even before it is done, with all that belongs to it",
        tag="calls",
        answers=(Answer(description="it is gone", status=204, media_types=()),),
        faults=(ConflictError,),
    ),
    Route(
        method=hdrs.METH_GET,
        path="/v1/calls/{call_id}/transcript",
        handler=get_transcript,
        scope=Scope.CALLS_READ,
        summary="The transcript as it stands",
        tag="calls",
        query=TranscriptQuery,
        answers=(
            Answer(
                description="what was said, by start time",
                model=TranscriptOut,
                media_types=("application/json", *(media_type for media_type, _ in TEXT_FORMS.values())),
            ),
        ),
    ),
)
