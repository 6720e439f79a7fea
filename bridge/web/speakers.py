"""Known voices: enrolled with a recording, listed, deleted. Off unless `CALLBRIDGE_KNOWN_VOICES` is on."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from aiohttp import hdrs, web
from pydantic import AfterValidator, Field, ValidationError

from bridge.errors import ConflictError, ForbiddenError, InvalidRequestError, TooLargeError
from bridge.known_voices import KnownVoices
from bridge.spool.shelf import IncomingFile
from bridge.web.auth import Scope
from bridge.web.moments import Moment
from bridge.web.problems import invalid
from bridge.web.route import Answer, Ask, Incoming, Nothing, Outgoing, Route, answer
from bridge.web.uploads import read_form

MOST_BYTES: Final = 50_000_000
MOST_VOICES: Final = 1000
"""Of one tenant: every call is held against all of them."""


def _own(name: str) -> str:
    if re.fullmatch(r"S\d+", name):
        raise ValueError("names like S1 are for speakers that nobody knows")
    return name


class SpeakerIn(Incoming):
    name: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_own)] = Field(
        description="what transcripts call the voice; beside it `file`, a recording of that one person on one channel"
    )


class SpeakerOut(Outgoing):
    id: str
    name: str
    speech_ms: int = Field(description="how much speech the voice was made of")
    created_at: Moment


class SpeakerList(Outgoing):
    speakers: tuple[SpeakerOut, ...]


async def enrol_speaker(ask: Ask[Nothing, Nothing]) -> web.StreamResponse:
    known = _known(ask)
    if len(await ask.context.store.voices(ask.tenant)) >= MOST_VOICES:
        raise ConflictError(f"there are {MOST_VOICES} voices already; delete one first")
    form = await read_form(ask.request, ask.context.transcriber, ask.tenant, limit=MOST_BYTES)
    try:
        if not isinstance(form.upload, IncomingFile):
            raise InvalidRequestError("send the recording in `file`", fields={"file": "missing"})
        try:
            wanted = SpeakerIn.model_validate(dict(form.fields))
        except ValidationError as error:
            raise invalid(error, "form") from None
        form.upload.flush()
        voice = await known.enrol(ask.tenant, wanted.name, form.upload.path)
    finally:
        form.discard()
    return answer(SpeakerOut.of(voice), status=201)


async def list_speakers(ask: Ask[Nothing, Nothing]) -> web.StreamResponse:
    voices = await ask.context.store.voices(ask.tenant)
    return answer(SpeakerList(speakers=tuple(SpeakerOut.of(voice) for voice in voices)))


async def delete_speaker(ask: Ask[Nothing, Nothing]) -> web.StreamResponse:
    """Also while known voices are off: what was enrolled can always be taken back."""
    await ask.context.store.delete_voice(ask.tenant, ask.path("speaker_id"))
    return web.Response(status=204)


def _known(ask: Ask[Any, Any]) -> KnownVoices:
    if ask.context.known_voices is None:
        raise ForbiddenError("this server enrols no voices: CALLBRIDGE_KNOWN_VOICES is off")
    return ask.context.known_voices


ROUTES: Final = (
    Route(
        method=hdrs.METH_POST,
        path="/v1/speakers",
        handler=enrol_speaker,
        scope=Scope.SPEAKERS,
        summary="Enrol a voice, so that transcripts carry its name",
        tag="speakers",
        form=SpeakerIn,
        answers=(Answer(description="the voice, without what tells it", status=201, model=SpeakerOut),),
        faults=(ConflictError, TooLargeError),
    ),
    Route(
        method=hdrs.METH_GET,
        path="/v1/speakers",
        handler=list_speakers,
        scope=Scope.SPEAKERS,
        summary="List enrolled voices",
        tag="speakers",
        answers=(Answer(description="oldest first", model=SpeakerList),),
    ),
    Route(
        method=hdrs.METH_DELETE,
        path="/v1/speakers/{speaker_id}",
        handler=delete_speaker,
        scope=Scope.SPEAKERS,
        summary="Delete an enrolled voice",
        tag="speakers",
        answers=(Answer(description="it is gone", status=204, media_types=()),),
    ),
)
