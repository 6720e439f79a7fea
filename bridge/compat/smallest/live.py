"""WS `…/stt/live` and `…/get_text`: live audio in, `transcription` messages out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web
from multidict import MultiMapping

from bridge.compat.asking import admit, flag, language, number, whole
from bridge.compat.container import ContainerSound
from bridge.compat.dialogue import Begin, Finalise, Finish, Hear, Say, Wish
from bridge.compat.flushing import Flushing
from bridge.compat.live import serve
from bridge.compat.smallest.wording import Wording, check_model, keywords
from bridge.compat.sound import ENCODINGS, RawSound, Sound
from bridge.errors import BridgeError, CarrierProtocolError, InvalidRequestError
from bridge.model.events import (
    CallEnded,
    Event,
    SpeechEnded,
    SpeechFlushed,
    SpeechStarted,
    TranscriptFinal,
    TranscriptPartial,
)
from bridge.model.foreign import object_from_json
from bridge.web.context import Context
from bridge.web.observe import REQUEST_ID

NAME: Final = "smallest"
MODELS: Final = frozenset({"pulse", "pulse-2"})
CONTAINERS: Final = frozenset({"ogg_opus", "ogg-opus"})

SILENT_S: Final = 30.0
"""So long without audio or a keepalive, and the session ends."""


async def listen_live(request: web.Request, context: Context) -> web.StreamResponse:
    principal = await admit(request)
    check_model(request.query, MODELS, needed=request.path.rstrip("/").endswith("/live"))
    dialect = SmallestLive(request.query, session_id=request.get(REQUEST_ID, ""), model=context.settings.model)
    return await serve(request, context, dialect, name=NAME, tenant=principal.tenant)


class SmallestLive:
    """One session."""

    def __init__(self, query: MultiMapping[str], *, session_id: str, model: str) -> None:
        """Raises InvalidRequestError, UnsupportedMediaError."""
        self._session_id = session_id
        self._wording = Wording.of(query)
        self._words = flag(query, "word_timestamps", default=True)
        self._sentences = flag(query, "sentence_timestamps")
        self._cumulative = flag(query, "full_transcript", default=True)
        self._vad_events = flag(query, "vad_events")
        self._endpointing = query.get("endpointing", "").lower() not in {"false", "0"}
        self._sound = _sound(query)
        self._language = language(query, model)
        self._parameters = _parameters(query, self._language, endpointing=self._endpointing)
        self._flushing = Flushing()
        self._said: list[str] = []

    def opened(self) -> Sequence[Wish]:
        begin = Begin(sound=self._sound, carrier=NAME, carrier_call_id=self._session_id, parameters=self._parameters)
        return [begin]

    def receive(self, message: str | bytes) -> Sequence[Wish]:
        if isinstance(message, bytes):
            return [Hear(data=message)]
        try:
            kind = object_from_json(message).get("type")
        except ValueError:
            raise CarrierProtocolError("a text message that is no JSON object") from None
        match kind:
            case "finalize":
                self._flushing.ask()
                return [Finalise()]
            case "close_stream" | "end":
                return [Finish()]
            case "keepalive":
                return [self._say("pong")]
        return []

    def heard(self, until_ms: int) -> Sequence[Wish]:
        del until_ms
        return []

    def quiet(self, seconds: float) -> Sequence[Wish]:
        return [Finish(reason="no audio and no keepalive for 30 s")] if seconds >= SILENT_S else []

    def tell(self, event: Event) -> Sequence[Wish]:
        match event.body:
            case SpeechStarted(at_ms=at_ms) | SpeechEnded(at_ms=at_ms) if self._vad_events:
                return [self._say(event.type.replace(".", "_"), timestamp=at_ms / 1000)]
            case TranscriptPartial(text=text):
                return [self._transcription(self._wording.text(text), is_final=False)]
            case TranscriptFinal() as final:
                return [self._final(final)]
            case SpeechFlushed() if self._flushing.flushed():
                return [self._transcription("", from_finalize=True, **self._standing())]
            case CallEnded():
                return [self._transcription("", is_last=True, **self._standing())]
        return []

    def fault(self, error: BridgeError) -> Sequence[Wish]:
        theirs = error.status < 500
        told = self._say("error", status="error", message=error.message)
        return [told, Finish(code=1008 if theirs else 1011, reason=error.message)]

    # -- messages --------------------------------------------------------------------------------------------------

    def _final(self, final: TranscriptFinal) -> Say:
        text = self._wording.text(final.text)
        if text:
            self._said.append(text)
        told: dict[str, Any] = {**self._standing(), "language": final.language, "languages": [final.language]}
        if self._words:
            told["words"] = self._wording.words(final.as_segment(), named=False)
        if self._sentences:
            told["utterances"] = [self._wording.utterance(final.as_segment(), named=False)]
        return self._transcription(text, from_finalize=self._flushing.final(), speech_final=self._endpointing, **told)

    def _standing(self) -> dict[str, Any]:
        """What every final says besides its own words."""
        known = {} if self._language is None else {"language": self._language, "languages": [self._language]}
        return {**known, **({"full_transcript": " ".join(self._said)} if self._cumulative else {})}

    def _transcription(
        self,
        text: str,
        *,
        is_final: bool = True,
        is_last: bool = False,
        from_finalize: bool = False,
        speech_final: bool = False,
        **told: Any,
    ) -> Say:
        return self._say(
            "transcription",
            status="success",
            transcript=text,
            transcription=text,
            is_final=is_final,
            is_last=is_last,
            from_finalize=from_finalize,
            speech_final=speech_final,
            **told,
        )

    def _say(self, kind: str, **fields: Any) -> Say:
        message = {"type": kind, "session_id": self._session_id, **fields}
        return Say(text=json.dumps(message, ensure_ascii=False))


def _sound(query: MultiMapping[str]) -> Sound:
    encoding = query.get("encoding", "linear16")
    if encoding in CONTAINERS:
        return ContainerSound(encoding)
    if encoding not in ENCODINGS:
        known = ", ".join([*ENCODINGS, "ogg_opus"])
        raise InvalidRequestError(f"encoding must be one of {known}", fields={"encoding": f"must be one of {known}"})
    return RawSound(encoding, whole(query, "sample_rate", 16_000, least=8000, most=48_000))


def _parameters(query: MultiMapping[str], language: str | None, *, endpointing: bool) -> dict[str, str]:
    """Raises InvalidRequestError."""
    parameters = {"keywords": ",".join(keywords(query))}
    if flag(query, "diarize"):
        parameters["diarize"] = "true"
    if language is not None:
        parameters["language"] = language
    silence_ms = [whole(query, name, 0, least=0, most=60_000) for name in ("endpointing_timeout", "eou_timeout_ms")]
    if endpointing and any(silence_ms):
        parameters["endpointing_ms"] = str(next(filter(None, silence_ms)))
    threshold = number(query, "vad_threshold", least=0, most=1)
    if threshold is not None:
        parameters["vad_threshold"] = str(threshold)
    return parameters
