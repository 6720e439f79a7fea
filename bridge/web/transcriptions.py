"""A recording in, the same result out: orders for recordings, and how far they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, Final

from aiohttp import hdrs, web
from multidict import MultiDict
from pydantic import Field, ValidationError

from bridge.deliver.callback import Callback
from bridge.errors import CapacityError, ConflictError, InvalidRequestError, TooLargeError
from bridge.model.foreign import from_json
from bridge.model.recordings import Job, JobStatus, Order, RawAudio, RawEncoding
from bridge.model.words import Segment
from bridge.web.auth import Scope
from bridge.web.moments import Moment
from bridge.web.problems import invalid
from bridge.web.route import Answer, Ask, Incoming, Nothing, Outgoing, Route, answer, read_body
from bridge.web.said import Said
from bridge.web.uploads import Form, called_back, new_order, read_form, transcribed

LONGEST_WAIT_S: Final = 600
MOST_METADATA: Final = 50
PREFERRED: Final = re.compile(r"\bwait=(\d{1,4})\b")


class WaitQuery(Incoming):
    wait: int = Field(
        default=0,
        ge=0,
        le=LONGEST_WAIT_S,
        description="seconds to wait for the words; `Prefer: wait=…` says the same",
    )


class TranscriptionIn(Incoming):
    url: Annotated[str, Field(max_length=4000)] | None = Field(
        default=None, description="where the recording is, when it is not sent: fetched without redirects"
    )
    language: str | None = Field(default=None, description="a language code; found out when left out")
    keywords: tuple[Annotated[str, Field(max_length=100)], ...] = Field(
        default=(), max_length=50, description="words to expect; in a form comma-separated"
    )
    diarize: bool | None = Field(default=None, description="whether the speakers of a channel are told apart")
    metadata: dict[str, Annotated[str, Field(max_length=1000)]] = Field(
        default={}, max_length=MOST_METADATA, description="comes back with the call; in a form as JSON"
    )
    call_id: str | None = Field(default=None, description="chooses the call's id; else one is made")
    callback_url: Annotated[str, Field(max_length=2000)] | None = Field(
        default=None, description="is sent `call.completed` or `call.failed` of this recording, as a webhook is"
    )
    callback_secret: Annotated[str, Field(min_length=8, max_length=200)] | None = Field(
        default=None, description="signs that; else the secret of the endpoint that `/v1/webhooks` lists for its host"
    )
    encoding: RawEncoding | None = Field(default=None, description="of a file without a header")
    sample_rate: int = Field(default=8000, ge=4000, le=192_000, description="with `encoding`")
    channels: int = Field(default=1, ge=1, le=2, description="with `encoding`: 2 is caller, agent")

    @property
    def raw(self) -> RawAudio | None:
        if self.encoding is None:
            return None
        return RawAudio(encoding=self.encoding, sample_rate=self.sample_rate, channels=self.channels)


class TranscriptionOut(Outgoing):
    call_id: str = Field(description="the recording is a call of carrier `recording` under this id")
    status: JobStatus
    progress: float = Field(description="0–1")
    created_at: Moment
    duration_ms: int | None = Field(description="null until the recording has been read")
    error: str | None = Field(description="a stable code, when it has failed")
    text: str | None = Field(description="a line a segment, once it is completed")
    segments: tuple[Said, ...] | None = Field(description="as in the call's transcript, once it is completed")


async def create_transcription(ask: Ask[WaitQuery, Nothing]) -> web.StreamResponse:
    wait_s = ask.query.wait or _preferred(ask.request)
    if wait_s:
        ask.principal.need(Scope.CALLS_READ)
    ask.context.transcriber.check_room(ask.tenant)
    form, wanted = await _read(ask)
    try:
        order = _order(ask, form, wanted)
        job = await _submit(ask, order, form, wanted)
    finally:
        form.discard()
    where = {str(hdrs.LOCATION): f"/v1/transcriptions/{order.call_id}"}
    if wait_s and await transcribed(ask.context, ask.tenant, order.call_id, limit_s=wait_s) is not None:
        return answer(await _shown(ask, order.call_id), headers=where)
    if wait_s:
        job = await ask.context.transcriber.job(ask.tenant, order.call_id)
    return answer(_out(job), status=202, headers=where)


async def get_transcription(ask: Ask[Nothing, Nothing]) -> web.StreamResponse:
    return answer(await _shown(ask, ask.path("call_id")))


async def cancel_transcription(ask: Ask[Nothing, Nothing]) -> web.StreamResponse:
    call_id = ask.path("call_id")
    await ask.context.transcriber.cancel(ask.tenant, call_id)
    await ask.context.transcriber.finished(ask.tenant, call_id)
    return answer(_out(await ask.context.transcriber.job(ask.tenant, call_id)))


async def _submit(ask: Ask[WaitQuery, Nothing], order: Order, form: Form, wanted: TranscriptionIn) -> Job:
    """The callback first: no recording is done before it is known whom to tell."""
    if wanted.callback_url is None:
        return await ask.context.transcriber.submit(order, form.upload)
    callback = Callback(url=wanted.callback_url, secret=wanted.callback_secret)
    async with called_back(ask.context, order.key, callback):
        return await ask.context.transcriber.submit(order, form.upload)


async def _read(ask: Ask[WaitQuery, Nothing]) -> tuple[Form, TranscriptionIn]:
    """Raises InvalidRequestError, TooLargeError, CapacityError, TooManyRequestsError; then nothing stays."""
    if not ask.request.content_type.startswith("multipart/"):
        return Form(), await read_body(TranscriptionIn, ask.request)
    form = await read_form(ask.request, ask.context.transcriber, ask.tenant)
    try:
        return form, _from_form(form.fields)
    except BaseException:
        form.discard()
        raise


def _from_form(fields: MultiDict[str]) -> TranscriptionIn:
    given: dict[str, object] = dict(fields)
    given["keywords"] = [
        word.strip() for words in fields.getall("keywords", []) for word in words.split(",") if word.strip()
    ]
    try:
        if "metadata" in given:
            given["metadata"] = from_json(fields["metadata"])
        return TranscriptionIn.model_validate(given)
    except ValidationError as error:
        raise invalid(error, "form") from None
    except ValueError:
        raise InvalidRequestError("metadata is not JSON", fields={"metadata": "must be a JSON object"}) from None


def _order(ask: Ask[WaitQuery, Nothing], form: Form, wanted: TranscriptionIn) -> Order:
    if (form.upload is None) == (wanted.url is None):
        raise InvalidRequestError("send the recording in `file`, or its `url`: one of them", fields={"file": "missing"})
    return new_order(
        ask.context,
        tenant=ask.tenant,
        name=form.filename,
        url=wanted.url,
        language=wanted.language,
        keywords=wanted.keywords,
        diarize=wanted.diarize,
        metadata=wanted.metadata,
        raw=wanted.raw,
        call_id=wanted.call_id,
    )


def _preferred(request: web.Request) -> int:
    """RFC 7240 §4.3: what a client would rather wait, in seconds."""
    found = PREFERRED.search(request.headers.get("Prefer", ""))
    return min(int(found[1]), LONGEST_WAIT_S) if found else 0


async def _shown(ask: Ask[Any, Any], call_id: str) -> TranscriptionOut:
    job = await ask.context.transcriber.job(ask.tenant, call_id)
    if job.status is not JobStatus.COMPLETED:
        return _out(job)
    segments = await ask.context.store.segments(ask.tenant, call_id)
    return _out(job, segments)


def _out(job: Job, segments: Sequence[Segment] | None = None) -> TranscriptionOut:
    return TranscriptionOut(
        call_id=job.call_id,
        status=job.status,
        progress=job.progress,
        created_at=job.created_at,
        duration_ms=job.duration_ms,
        error=job.error,
        text=None if segments is None else "\n".join(segment.text for segment in segments),
        segments=None if segments is None else tuple(segments),
    )


ROUTES: Final = (
    Route(
        method=hdrs.METH_POST,
        path="/v1/transcriptions",
        handler=create_transcription,
        scope=Scope.MEDIA,
        summary="Put a recording into words: it becomes a call of carrier `recording`",
        tag="recordings",
        query=WaitQuery,
        form=TranscriptionIn,
        answers=(
            Answer(description="its words, within `wait` seconds", model=TranscriptionOut),
            Answer(
                description="it is being worked on; `Location` says where to ask", status=202, model=TranscriptionOut
            ),
        ),
        faults=(ConflictError, TooLargeError, CapacityError),
    ),
    Route(
        method=hdrs.METH_GET,
        path="/v1/transcriptions/{call_id}",
        handler=get_transcription,
        scope=Scope.CALLS_READ,
        summary="How far a recording is, and its words once it is done",
        tag="recordings",
        answers=(Answer(description="the recording", model=TranscriptionOut),),
    ),
    Route(
        method=hdrs.METH_POST,
        path="/v1/transcriptions/{call_id}/cancel",
        handler=cancel_transcription,
        scope=Scope.CALLS_WRITE,
        summary="Take a recording back that is not done: its call fails as `cancelled`",
        tag="recordings",
        answers=(Answer(description="the recording", model=TranscriptionOut),),
        faults=(ConflictError,),
    ),
)
