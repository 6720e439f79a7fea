"""WS `/v2/speech-to-text/transcription`: live audio in, `transcript` messages out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiohttp import web
from multidict import MultiMapping

from bridge.compat.asking import admit, flag
from bridge.compat.dialogue import Begin, Finalise, Finish, Hear, Say, Wish
from bridge.compat.flushing import Flushing, Lull
from bridge.compat.live import serve
from bridge.compat.sound import Sound
from bridge.compat.telnyx.faults import error_object
from bridge.compat.telnyx.parameters import check_engine, parameters, sound
from bridge.errors import BridgeError
from bridge.model.events import Event, SpeechFlushed, TranscriptFinal, TranscriptPartial
from bridge.model.foreign import object_from_json
from bridge.model.words import Word
from bridge.web.context import Context
from bridge.web.observe import REQUEST_ID

NAME: Final = "telnyx-stt"

SILENT_S: Final = 10.0
"""So long without anything, and the session ends: some clients wait for the server to close."""


async def listen_live(request: web.Request, context: Context) -> web.StreamResponse:
    principal = await admit(request)
    dialect = TelnyxLive(request.query, session_id=request.get(REQUEST_ID, ""), model=context.settings.model)
    return await serve(request, context, dialect, name=NAME, tenant=principal.tenant)


class TelnyxLive:
    """One session. What is wrong with its parameters is said on the socket, as Telnyx does."""

    def __init__(self, query: MultiMapping[str], *, session_id: str, model: str) -> None:
        self._session_id = session_id
        self._endpointing = query.get("endpointing", "").lower() != "false"
        self._flushing = Flushing()
        self._lull = Lull()
        self._asked = _asked(query, model)
        self._interim = not isinstance(self._asked, BridgeError) and self._asked[2]

    def opened(self) -> Sequence[Wish]:
        if isinstance(self._asked, BridgeError):
            return self.fault(self._asked)
        heard, chosen, interim = self._asked
        chosen = {**chosen, "partials": "on" if interim else "off"}
        return [Begin(sound=heard, carrier=NAME, carrier_call_id=self._session_id, parameters=chosen)]

    def receive(self, message: str | bytes) -> Sequence[Wish]:
        if isinstance(message, bytes):
            self._lull.heard()
            return [Hear(data=message)]
        try:
            kind = object_from_json(message).get("type")
        except ValueError:
            return []  # as Telnyx does
        if kind == "Finalize":
            self._lull.flushed()
            self._flushing.ask()
            return [Finalise()]
        return [Finish()] if kind == "CloseStream" else []

    def heard(self, until_ms: int) -> Sequence[Wish]:
        del until_ms
        return []

    def quiet(self, seconds: float) -> Sequence[Wish]:
        if seconds >= SILENT_S:
            return [Finish(reason="nothing has come for 10 s")]
        return [Finalise()] if self._lull.lasts(seconds) else []

    def tell(self, event: Event) -> Sequence[Wish]:
        match event.body:
            case TranscriptPartial(text=text) as partial if self._interim:
                return [self._transcript(text, (partial.start_ms, partial.end_ms), is_final=False)]
            case TranscriptFinal() as final:
                self._flushing.final()
                span_ms = (final.start_ms, final.end_ms)
                return [self._transcript(final.text, span_ms, confidence=final.confidence, words=_words(final.words))]
            case SpeechFlushed(at_ms=at_ms) if self._flushing.flushed():
                return [self._transcript("", (at_ms, at_ms))]
        return []

    def fault(self, error: BridgeError) -> Sequence[Wish]:
        told = {"type": "error", "error": error.message, "errors": [error_object(error)]}
        code = 1008 if error.status < 500 else 1011
        return [Say(text=json.dumps(told, ensure_ascii=False)), Finish(code=code, reason=error.message)]

    def _transcript(
        self,
        text: str,
        span_ms: tuple[int, int],
        *,
        is_final: bool = True,
        confidence: float = 0.0,
        words: Sequence[Mapping[str, Any]] = (),
    ) -> Say:
        start_ms, end_ms = span_ms
        message = {
            "type": "transcript",
            "transcript": text,
            "is_final": is_final,
            "speech_final": is_final and self._endpointing,
            "confidence": confidence,
            "words": words,
            "channel": 0,
            "start_time": start_ms / 1000,
            "duration": (end_ms - start_ms) / 1000,
        }
        return Say(text=json.dumps(message, ensure_ascii=False))


def _asked(query: MultiMapping[str], model: str) -> tuple[Sound, Mapping[str, str], bool] | BridgeError:
    """The audio, the call's parameters, and whether partials are shown; or what is wrong."""
    try:
        check_engine(query)
        return sound(query), parameters(query, model), flag(query, "interim_results")
    except BridgeError as error:
        return error


def _words(words: Sequence[Word]) -> list[dict[str, Any]]:
    return [
        {
            "word": word.word,
            "start": word.start_ms / 1000,
            "end": word.end_ms / 1000,
            "confidence": word.confidence,
        }
        for word in words
    ]
