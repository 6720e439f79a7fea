"""WS `/v2`: live audio in, transcripts and the ends of utterances out."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiohttp import web

from bridge.compat.asking import admit, admit_token
from bridge.compat.dialogue import Begin, Finalise, Finish, Hear, Say, Wish
from bridge.compat.live import serve
from bridge.compat.speechmatics.config import Config
from bridge.compat.speechmatics.faults import MessageError, error_object
from bridge.compat.speechmatics.results import end_of_utterance, transcript
from bridge.compat.words import spread_out
from bridge.errors import BridgeError
from bridge.model.events import CallEnded, Event, SpeechEnded, SpeechFlushed, TranscriptFinal, TranscriptPartial
from bridge.model.foreign import object_from_json
from bridge.model.languages import LANGUAGES
from bridge.web.context import Context
from bridge.web.observe import REQUEST_ID

NAME: Final = "speechmatics"

SILENT_S: Final = 120.0
"""So long without anything, and the session ends."""


async def listen_live(request: web.Request, context: Context) -> web.StreamResponse:
    """The credential is a header's, or a browser's `?jwt=`."""
    jwt = request.query.get("jwt")
    principal = await admit(request) if jwt is None else await admit_token(request, jwt)
    dialect = SpeechmaticsLive(session_id=request.get(REQUEST_ID, ""), model=context.settings.model)
    return await serve(request, context, dialect, name=NAME, tenant=principal.tenant)


class SpeechmaticsLive:
    """One session: it begins with `StartRecognition`."""

    def __init__(self, *, session_id: str, model: str) -> None:
        self._session_id = session_id
        self._model = model
        self._config: Config | None = None
        self._partials = False
        self._added = 0
        """Frames of audio."""
        self._ends: deque[int] = deque()
        """Where speech has ended whose last words are not told, in ms."""
        self._forced = 0
        """Ends of utterances that the client wants."""

    def opened(self) -> Sequence[Wish]:
        return []

    def receive(self, message: str | bytes) -> Sequence[Wish]:
        if isinstance(message, bytes):
            return self._audio(message)
        try:
            told = object_from_json(message)
        except ValueError:
            raise MessageError("invalid_message", "not a JSON object") from None
        kind = told.get("message")
        if kind == "StartRecognition":
            return self._start(told)
        if self._config is None:
            raise MessageError("protocol_error", "StartRecognition comes first")
        match kind:
            case "EndOfStream":
                return [Finish()]
            case "ForceEndOfUtterance":
                self._forced += 1
                return [Finalise()]
            case "SetRecognitionConfig":
                return self._set(told)
        return [self._warn(f"{str(kind)[:64]!r} is not offered here")]

    def _audio(self, data: bytes) -> Sequence[Wish]:
        if self._config is None:
            raise MessageError("protocol_error", "StartRecognition comes first")
        self._added += 1
        return [Hear(data=data), self._say({"message": "AudioAdded", "seq_no": self._added})]

    def _start(self, told: Mapping[str, Any]) -> Sequence[Wish]:
        if self._config is not None:
            raise MessageError("protocol_error", "StartRecognition has come already")
        self._config = config = Config.of(told, self._model)
        self._partials = config.partials
        started: dict[str, Any] = {"message": "RecognitionStarted", "id": self._session_id}
        if config.language is not None:
            described = LANGUAGES[config.language]
            started["language_pack_info"] = {"language_description": described, "word_delimiter": " "}
        begin = Begin(
            sound=config.sound, carrier=NAME, carrier_call_id=self._session_id, parameters=config.parameters()
        )
        return [begin, self._say(started)]

    def _set(self, told: Mapping[str, Any]) -> Sequence[Wish]:
        """Partials can be switched off, and on again where they were on at first."""
        given = told.get("transcription_config")
        asked = dict(given) if isinstance(given, Mapping) else {}
        wanted = asked.pop("enable_partials", None)
        if isinstance(wanted, bool) and self._config is not None:
            self._partials = wanted and self._config.partials
        asked.pop("language", None)
        fixed = ", ".join(sorted(asked)) or ("enable_partials" if wanted and not self._partials else "")
        return [self._warn(f"{fixed[:200]} cannot be changed while a session runs")] if fixed else []

    def heard(self, until_ms: int) -> Sequence[Wish]:
        del until_ms
        return []

    def quiet(self, seconds: float) -> Sequence[Wish]:
        if seconds < SILENT_S:
            return []
        return self.fault(MessageError("idle_timeout", "nothing has come for 120 s"))

    def tell(self, event: Event) -> Sequence[Wish]:
        match event.body:
            case SpeechEnded(at_ms=at_ms):
                self._ends.append(at_ms)
            case TranscriptPartial(start_ms=start_ms, end_ms=end_ms, text=text) if self._partials:
                words = spread_out(text.split(), start_ms, end_ms)
                told = transcript("AddPartialTranscript", text, (start_ms, end_ms), words)
                return [self._say(told)]
            case TranscriptFinal() as final:
                span_ms = (final.start_ms, final.end_ms)
                about = {"language": final.language, "speaker": final.speaker}
                told = transcript("AddTranscript", final.text, span_ms, final.words, **about)
                return [self._say(told), *self._utterance_end(final.end_ms)]
            case SpeechFlushed(at_ms=at_ms) if self._forced:
                self._forced -= 1
                return [self._say(end_of_utterance(at_ms))]
            case CallEnded():
                return [self._say({"message": "EndOfTranscript"})]
        return []

    def fault(self, error: BridgeError) -> Sequence[Wish]:
        code = 1008 if error.status < 500 else 1011
        return [self._say(error_object(error)), Finish(code=code, reason=error.message)]

    # -- messages --------------------------------------------------------------------------------------------------

    def _utterance_end(self, told_ms: int) -> Sequence[Wish]:
        """Behind the last words of speech that silence has ended, where that is to be told."""
        ended = False
        while self._ends and self._ends[0] <= told_ms:
            self._ends.popleft()
            ended = True
        wanted = self._config is not None and self._config.utterance_silence_s > 0
        return [self._say(end_of_utterance(told_ms))] if ended and wanted and not self._forced else []

    def _warn(self, reason: str) -> Say:
        return self._say({"message": "Warning", "type": "unsupported", "reason": reason})

    def _say(self, message: Mapping[str, Any]) -> Say:
        return Say(text=json.dumps(message, ensure_ascii=False))
