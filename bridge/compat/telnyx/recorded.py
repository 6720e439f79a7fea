"""`POST /v2/ai/audio/transcriptions`: a recording in a form, or its address, and its words as JSON."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web
from multidict import MultiDict

from bridge.compat.asking import admit, flag, language
from bridge.compat.recorded import Transcribed, put_into_words
from bridge.compat.telnyx.faults import ParameterError
from bridge.compat.words import SpeakerNumbers, plain
from bridge.model.foreign import object_from_json
from bridge.model.stream import Leg
from bridge.model.words import Segment, Word
from bridge.web.context import Context
from bridge.web.uploads import new_order, read_form

MOST_BYTES: Final = 100_000_000
FORMATS: Final = ("json", "verbose_json")

CONFIG: Final = "model_config"
NESTED: Final = re.compile(rf"{CONFIG}\[(\w+)\]")
"""How its SDK writes an object in a form; others send it as JSON."""
WORDED: Final = ("utterances", "diarize", "punctuate", "smart_format", "multichannel")
"""Any of them, and words come with times."""


async def transcribe(request: web.Request, context: Context) -> web.StreamResponse:
    principal = await admit(request)
    context.transcriber.check_room(principal.tenant)
    form = await read_form(request, context.transcriber, principal.tenant, limit=MOST_BYTES)
    try:
        fields = form.fields
        url = fields.get("file_url")
        verbose = _is_verbose(fields)
        config = _config(fields)
        if (form.upload is None) == (url is None):
            raise ParameterError("40000", "file", "send the recording in file, or its file_url: one of them")
        order = new_order(
            context,
            tenant=principal.tenant,
            name=form.filename,
            url=url,
            language=language(MultiDict({**config, **fields}), context.settings.model, default="auto"),
            diarize=flag(config, "diarize") or None,
        )
        done = await put_into_words(context, order, form.upload)
    finally:
        form.discard()
    return web.json_response(_told(done, config, verbose=verbose), headers={"Cache-Control": "no-store"})


def _is_verbose(fields: Mapping[str, str]) -> bool:
    """Raises ParameterError."""
    if not fields.get("model"):
        raise ParameterError("40000", "model", "model is needed")
    wanted = fields.get("response_format", "json")
    if wanted not in FORMATS:
        raise ParameterError("40000", "response_format", f"response_format must be one of {', '.join(FORMATS)}")
    return wanted == "verbose_json"


def _config(fields: Mapping[str, str]) -> MultiDict[str]:
    """Raises ParameterError."""
    found = MultiDict((named[1], value) for name, value in fields.items() if (named := NESTED.fullmatch(name)))
    try:
        given = object_from_json(fields.get(CONFIG) or "{}")
    except ValueError:
        raise ParameterError("40000", CONFIG, f"{CONFIG} must be a JSON object") from None
    found.extend({str(name): str(value) for name, value in given.items()})
    return found


def _told(done: Transcribed, config: MultiDict[str], *, verbose: bool) -> dict[str, Any]:
    wording = _Wording(done, config)
    segments = [wording.segment(number, segment) for number, segment in enumerate(done.segments)]
    told: dict[str, Any] = {"text": done.text}
    if verbose:
        told |= {"duration": done.seconds, "segments": segments}
    if any(flag(config, name) for name in WORDED):
        told["words"] = [word for segment in segments for word in segment["words"]]
    return told


class _Wording:
    """One answer's segments and words."""

    def __init__(self, done: Transcribed, config: MultiDict[str]) -> None:
        self._channels = {leg: number for number, leg in enumerate(done.legs)}
        self._apart = flag(config, "multichannel") and len(self._channels) > 1
        self._diarized = flag(config, "diarize")
        self._formatted = flag(config, "punctuate") or flag(config, "smart_format")
        self._numbers: defaultdict[Leg | None, SpeakerNumbers] = defaultdict(SpeakerNumbers)

    def segment(self, number: int, segment: Segment) -> dict[str, Any]:
        speaker = self._speaker(segment)
        told: dict[str, Any] = {
            "id": number,
            "start": segment.start_ms / 1000,
            "end": segment.end_ms / 1000,
            "text": segment.text,
            "words": [self._word(word, speaker) for word in segment.words],
        }
        if self._apart:
            told["channel"] = self._channels[segment.leg]
        if speaker is not None:
            told["speakers"] = [speaker]
        return told

    def _speaker(self, segment: Segment) -> int | None:
        """With channels apart each begins at 0."""
        numbers = self._numbers[segment.leg if self._apart else None]
        return numbers.of(segment.leg, segment.speaker) if self._diarized else None

    def _word(self, word: Word, speaker: int | None) -> dict[str, Any]:
        told: dict[str, Any] = {
            "word": plain(word.word) or word.word,
            "start": word.start_ms / 1000,
            "end": word.end_ms / 1000,
            "confidence": word.confidence,
        }
        if self._formatted:
            told["punctuated_word"] = word.word
        return told if speaker is None else {**told, "speaker": speaker}
