"""`POST /v1/audio/transcriptions`: a file in a form, its words as JSON, text, subtitles, or a stream of events."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from aiohttp import web
from multidict import MultiDict

from bridge.captions import as_srt, as_vtt
from bridge.compat.asking import admit, flag, listed
from bridge.compat.openai.faults import error_object
from bridge.compat.recorded import Transcribed, put_into_words
from bridge.compat.words import letter
from bridge.errors import BridgeError, CapacityError, InvalidRequestError
from bridge.model.events import CallEnded, TranscriptFinal
from bridge.model.languages import LANGUAGES
from bridge.model.recordings import Order
from bridge.model.stream import Leg
from bridge.model.words import Segment
from bridge.web.context import Context
from bridge.web.drain import first_of
from bridge.web.uploads import Form, new_order, read_form, transcribed

MOST_BYTES: Final = 25_000_000 + 2**20
"""What OpenAI takes, read generously."""

STREAM: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}
NOT_KEPT: Final = {"Cache-Control": "no-store"}

DIARIZED: Final = "diarized_json"

NAMES: Final = ("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-4o-transcribe-diarize")
"""Models that clients ask for by default: all are ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a form says besides its file."""

    response_format: str
    granularities: frozenset[str]
    stream: bool
    temperature: float


async def transcribe(request: web.Request, context: Context) -> web.StreamResponse:
    principal = await admit(request)
    context.transcriber.check_room(principal.tenant)
    form = await read_form(request, context.transcriber, principal.tenant, limit=MOST_BYTES)
    try:
        fields = _plain(form.fields)
        asked = _asked(form, fields)
        order = new_order(
            context,
            tenant=principal.tenant,
            name=form.filename,
            language=fields.get("language") or _only(listed(fields, "languages")),
            keywords=[*listed(fields, "keywords"), *listed(fields, "prompt", commas=True)],
            diarize=asked.response_format == DIARIZED or None,
        )
        if asked.stream:
            return await _stream(request, context, order, form)
        done = await put_into_words(context, order, form.upload)
    finally:
        form.discard()
    return FORMS[asked.response_format](done, asked)


async def models(request: web.Request, context: Context) -> web.StreamResponse:
    await admit(request, scopes=())
    named = dict.fromkeys((context.settings.model, *NAMES))
    found = [{"id": name, "object": "model", "created": 0, "owned_by": "callbridge"} for name in named]
    return web.json_response({"object": "list", "data": found})


def _plain(fields: MultiDict[str]) -> MultiDict[str]:
    """Lists are sent as `name[]` by some clients, as `name` by others."""
    return MultiDict((name.removesuffix("[]"), value) for name, value in fields.items())


def _only(languages: Sequence[str]) -> str | None:
    """The one that it can be; of several it is found out."""
    return languages[0] if len(languages) == 1 else None


def _asked(form: Form, fields: MultiDict[str]) -> Asked:
    """Raises InvalidRequestError."""
    if form.upload is None:
        raise InvalidRequestError("send the recording in `file`", fields={"file": "missing"})
    if not fields.get("model"):
        raise InvalidRequestError("you must provide a model parameter", fields={"model": "missing"})
    wanted = fields.get("response_format", "json")
    if wanted not in FORMS:
        known = ", ".join(FORMS)
        raise InvalidRequestError(f"response_format must be one of {known}", fields={"response_format": known})
    return Asked(
        response_format=wanted,
        granularities=frozenset(listed(fields, "timestamp_granularities")) or frozenset({"segment"}),
        stream=flag(fields, "stream"),
        temperature=_temperature(fields.get("temperature", "0")),
    )


def _temperature(written: str) -> float:
    """Raises InvalidRequestError."""
    try:
        temperature = float(written)
    except ValueError:
        temperature = math.nan
    if not math.isfinite(temperature):
        raise InvalidRequestError("temperature must be a number", fields={"temperature": "no number"})
    return temperature


# -- answers -------------------------------------------------------------------------------------------------------


def _as_json(done: Transcribed, asked: Asked) -> web.Response:
    del asked
    return web.json_response({"text": done.text, "usage": _usage(done)}, headers=NOT_KEPT)


def _as_verbose_json(done: Transcribed, asked: Asked) -> web.Response:
    told: dict[str, Any] = {
        "task": "transcribe",
        "language": LANGUAGES.get(done.language, done.language).lower(),
        "duration": done.seconds,
        "text": done.text,
    }
    if "segment" in asked.granularities:
        told["segments"] = [_segment(n, segment, asked) for n, segment in enumerate(done.segments)]
    if "word" in asked.granularities:
        told["words"] = [
            {"word": word.word, "start": word.start_ms / 1000, "end": word.end_ms / 1000}
            for segment in done.segments
            for word in segment.words
        ]
    return web.json_response({**told, "usage": _usage(done)}, headers=NOT_KEPT)


def _segment(number: int, segment: Segment, asked: Asked) -> dict[str, Any]:
    """`no_speech_prob` is 0: speech was found before it was decoded."""
    spoken = segment.text.encode()
    return {
        "id": number,
        "seek": segment.start_ms // 10,
        "start": segment.start_ms / 1000,
        "end": segment.end_ms / 1000,
        "text": f" {segment.text}",
        "tokens": [],
        "temperature": asked.temperature,
        "avg_logprob": round(math.log(max(segment.confidence, 1e-6)), 4),
        "compression_ratio": round(len(spoken) / len(zlib.compress(spoken)), 3),
        "no_speech_prob": 0.0,
    }


def _as_diarized_json(done: Transcribed, asked: Asked) -> web.Response:
    """Speakers are letters, in the order they are first heard; who was not told apart on a channel is one of them."""
    del asked
    letters: dict[tuple[Leg, str | None], str] = {}
    told = {
        "task": "transcribe",
        "duration": done.seconds,
        "text": done.text,
        "segments": [
            {
                "type": "transcript.text.segment",
                "id": f"seg_{number}",
                "start": segment.start_ms / 1000,
                "end": segment.end_ms / 1000,
                "speaker": letters.setdefault((segment.leg, segment.speaker), letter(len(letters))),
                "text": segment.text,
            }
            for number, segment in enumerate(done.segments)
        ],
        "usage": _usage(done),
    }
    return web.json_response(told, headers=NOT_KEPT)


def _usage(done: Transcribed) -> dict[str, Any]:
    return {"type": "duration", "seconds": math.ceil(done.seconds)}


def _plain_text(write: Callable[[Sequence[Segment]], str]) -> Callable[[Transcribed, Asked], web.Response]:
    def told(done: Transcribed, asked: Asked) -> web.Response:
        del asked
        unnamed = [replace(segment, leg=Leg.MIXED) for segment in done.segments]
        return web.Response(text=write(unnamed), content_type="text/plain", charset="utf-8", headers=NOT_KEPT)

    return told


def _text(segments: Sequence[Segment]) -> str:
    return " ".join(segment.text for segment in segments) + "\n"


FORMS: Final[Mapping[str, Callable[[Transcribed, Asked], web.Response]]] = {
    "json": _as_json,
    DIARIZED: _as_diarized_json,
    "text": _plain_text(_text),
    "srt": _plain_text(as_srt),
    "verbose_json": _as_verbose_json,
    "vtt": _plain_text(as_vtt),
}


# -- a stream ------------------------------------------------------------------------------------------------------


async def _stream(request: web.Request, context: Context, order: Order, form: Form) -> web.StreamResponse:
    """Words as soon as they are found. What is told stands: `delta`s are never taken back."""
    await context.transcriber.submit(order, form.upload)
    response = web.StreamResponse(headers=STREAM)
    await response.prepare(request)
    text = await first_of(_tell(response, context, order), context.leaving.wait())
    try:
        done = await transcribed(context, order.tenant, order.call_id, limit_s=context.patience_s)
        if done is None:
            raise CapacityError("the server is stopping; the recording is transcribed all the same")
        await _send(response, {"type": "transcript.text.done", "text": text, "usage": _usage(Transcribed.of(done))})
    except BridgeError as error:
        await _send(response, {"type": "error", "error": error_object(error)})
    return response


async def _tell(response: web.StreamResponse, context: Context, order: Order) -> str:
    """All that was said, once it has been told piece by piece."""
    text = ""
    async for event in context.feed.call(order.tenant, order.call_id, coming=True):
        if isinstance(final := event.body, TranscriptFinal):
            delta = f" {final.text}" if text else final.text
            text += delta
            await _send(response, {"type": "transcript.text.delta", "delta": delta})
        elif isinstance(event.body, CallEnded):
            break
    return text


async def _send(response: web.StreamResponse, event: Mapping[str, Any]) -> None:
    await response.write(f"data: {json.dumps(event, ensure_ascii=False)}\n\n".encode())
