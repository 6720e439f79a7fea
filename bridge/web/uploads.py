"""Recordings as they come in over HTTP, to the disk piece by piece; and what has become of them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, TypeVar

from aiohttp import BodyPartReader, web
from multidict import MultiDict
from yarl import URL

from bridge.deliver.callback import Callback, call_back
from bridge.deliver.guard import Guard
from bridge.errors import (
    BridgeError,
    CancelledJobError,
    ConflictError,
    FetchError,
    InvalidRequestError,
    NotFoundError,
    SpoolError,
    TooLargeError,
    UnreadableRecordingError,
)
from bridge.model.call_key import CallKey
from bridge.model.languages import languages_of
from bridge.model.recordings import JobStatus, Order, RawAudio
from bridge.model.records import CallRecord
from bridge.model.words import Segment
from bridge.ports import Transcriber, Upload
from bridge.store.payloads import meaning
from bridge.web.context import Context
from bridge.web.drain import first_of

T = TypeVar("T")

MOST_FIELDS: Final = 64
MOST_IN_FIELD: Final = 64 * 1024
"""Bytes."""
PIECE: Final = 64 * 1024
IDLE_S: Final = 60.0
"""A sender that brings nothing for so long is given up: others wait for its place."""
LONGEST_NAME: Final = 200
MOST_KEYWORDS: Final = 50

FAULTS: Final[Mapping[str, type[BridgeError]]] = {
    kind.code: kind for kind in (CancelledJobError, FetchError, SpoolError, TooLargeError, UnreadableRecordingError)
}
"""What a recording's call fails with, by its code."""


@dataclass(slots=True, kw_only=True)
class Form:
    """A `multipart/form-data` body: its fields, and the recording that was among them."""

    fields: MultiDict[str] = field(default_factory=MultiDict)
    upload: Upload | None = None
    filename: str = ""

    def discard(self) -> None:
        if self.upload is not None:
            self.upload.discard()


async def read_form(
    request: web.Request,
    transcriber: Transcriber,
    tenant: str,
    *,
    files: Collection[str] = ("file",),
    limit: int | None = None,
) -> Form:
    """Fields in any order, the recording being the part with one of the names in `files`; `limit` bytes of it.

    Raises InvalidRequestError, TooLargeError, CapacityError, TooManyRequestsError, SpoolError; then nothing stays.
    """
    form = Form()
    try:
        await _fill(form, request, lambda: transcriber.receive(tenant), files, limit)
    except (ValueError, AssertionError) as error:  # what aiohttp says of a body that is no form
        form.discard()
        raise InvalidRequestError(f"the body is not a form that can be read: {error}") from None
    except BaseException:
        form.discard()
        raise
    return form


async def _fill(
    form: Form, request: web.Request, receive: Callable[[], Upload], files: Collection[str], limit: int | None
) -> None:
    reader = await request.multipart()
    count = 0
    while (part := await in_time(reader.next())) is not None:
        count += 1
        if not isinstance(part, BodyPartReader) or count > MOST_FIELDS:
            raise InvalidRequestError("the form has too many fields, or a form inside")
        if part.name in files and form.upload is None:
            form.upload = receive()
            form.filename = part.filename or ""
            await _write(part, form.upload, limit)
        else:
            form.fields.add(part.name or "", await _text(part))


async def read_raw(
    request: web.Request,
    transcriber: Transcriber,
    tenant: str,
    *,
    limit: int | None = None,
    also: Callable[[bytes], object] = lambda _: None,
) -> Upload:
    """The whole body as a recording; `also` sees it piece by piece.

    Raises TooLargeError, CapacityError, TooManyRequestsError, SpoolError; then nothing stays.
    """
    upload = transcriber.receive(tenant)
    try:
        while piece := await in_time(request.content.read(PIECE)):
            also(piece)
            await upload.write(piece)
            _check(upload, limit)
    except BaseException:
        upload.discard()
        raise
    return upload


def new_order(
    context: Context,
    *,
    tenant: str,
    name: str = "",
    url: str | None = None,
    language: str | None = None,
    keywords: Sequence[str] = (),
    diarize: bool | None = None,
    metadata: Mapping[str, str] | None = None,
    raw: RawAudio | None = None,
    call_id: str | None = None,
) -> Order:
    """An order as a client words it: `language` may be `en-US` or `auto`. Raises InvalidRequestError."""
    if url is not None:
        Guard(context.settings.allow_private_urls).check_url(url)
        name = name or URL(url).name  # alone: what stands behind it may be a credential
    return Order(
        call_id=call_id or f"rec_{secrets.token_hex(12)}",
        tenant=tenant,
        created_at=context.clock.now(),
        name=name[:LONGEST_NAME],
        url=url,
        language=language_of(language, context.settings.model),
        keywords=tuple(keywords)[:MOST_KEYWORDS],
        diarize=context.settings.diarize if diarize is None else diarize,
        metadata=dict(metadata or {}),
        raw=raw,
    )


@asynccontextmanager
async def called_back(context: Context, key: CallKey, wanted: Callback) -> AsyncIterator[None]:
    """Whoever has to be told of a recording that is submitted inside; nobody, when it is not taken after all.

    Raises InvalidRequestError for an address that may not be called, ConflictError when a tenant has all endpoints it
    may have.
    """
    settings = context.settings
    now, most = context.clock.now(), settings.tenant_max_webhooks
    guard = Guard(settings.allow_private_urls)
    with suppress(NotFoundError):  # or a client that asks once more would take back the callback of its first try
        await context.transcriber.job(key.tenant, key.call_id)
        raise ConflictError(f"call {key.call_id} exists already")
    subscribed = await call_back(context.store, guard, key, wanted, now=now, most=most)
    try:
        yield
    except BaseException:
        await context.store.unsubscribe(subscribed)
        raise


def language_of(wanted: str | None, model: str) -> str | None:
    """Whisper's code; None where it is to be found out. Raises InvalidRequestError for one that the model lacks."""
    code = (wanted or "auto").strip().lower().split("-")[0]
    if code == "auto":
        return None
    if code not in languages_of(model):
        known = ", ".join(sorted(languages_of(model)))
        raise InvalidRequestError(
            f"this server does not write {code[:16]!r}, but {known}", fields={"language": "not a language here"}
        )
    return code


async def transcribed(
    context: Context, tenant: str, call_id: str, *, limit_s: float
) -> tuple[CallRecord, Sequence[Segment]] | None:
    """What a recording says, once it has been put into words; None when that is not so within `limit_s`.

    Raises the fault that it failed with. A server that is about to stop waits no longer: the next one goes on.
    """
    ending = context.transcriber.finished(tenant, call_id)
    await first_of(ending, context.clock.sleep(limit_s), context.leaving.wait())
    job = await context.transcriber.job(tenant, call_id)
    if job.status in {JobStatus.QUEUED, JobStatus.IN_PROGRESS}:
        return None
    record = await context.store.call(tenant, call_id)
    if record.error is not None:
        raise FAULTS.get(record.error, BridgeError)(meaning(record.error))
    return record, await context.store.segments(tenant, call_id)


async def _write(part: BodyPartReader, upload: Upload, limit: int | None) -> None:
    while piece := await in_time(part.read_chunk(PIECE)):
        await upload.write(piece)
        _check(upload, limit)


async def in_time(coming: Awaitable[T]) -> T:
    """Raises InvalidRequestError."""
    try:
        async with asyncio.timeout(IDLE_S):
            return await coming
    except TimeoutError:
        raise InvalidRequestError(f"nothing of the body came for {IDLE_S:g} s") from None


def _check(upload: Upload, limit: int | None) -> None:
    if limit is not None and upload.size > limit:
        raise TooLargeError(f"more than the {limit // 1_000_000} MB that are taken here", limit=limit)


async def _text(part: BodyPartReader) -> str:
    held = bytearray()
    while piece := await in_time(part.read_chunk(PIECE)):
        held += piece
        if len(held) > MOST_IN_FIELD:
            raise InvalidRequestError(f"the field {part.name!r} is too long")
    try:
        return held.decode()
    except UnicodeDecodeError:
        raise InvalidRequestError(f"the field {part.name!r} is not UTF-8") from None
