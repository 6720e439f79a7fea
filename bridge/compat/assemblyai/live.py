"""WS `/v3/ws`: live audio in, `Turn` messages out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from aiohttp import web
from multidict import MultiMapping

from bridge.compat.asking import admit, flag, number, whole
from bridge.compat.assemblyai.faults import EXPIRED, close_code
from bridge.compat.assemblyai.turns import Message, Turns
from bridge.compat.container import ContainerSound
from bridge.compat.dialogue import Begin, Finalise, Finish, Hear, Say, Wish
from bridge.compat.live import serve
from bridge.compat.sound import RawSound, Sound
from bridge.errors import BridgeError, CarrierProtocolError, InvalidRequestError
from bridge.model.events import CallEnded, Event, SpeechEnded, SpeechStarted, TranscriptFinal, TranscriptPartial
from bridge.model.foreign import from_json, object_from_json
from bridge.web.context import Context
from bridge.web.observe import REQUEST_ID
from bridge.web.uploads import language_of

NAME: Final = "assemblyai"

PCM: Final[Mapping[str, str]] = {"pcm_s16le": "linear16", "pcm_mulaw": "mulaw"}
CONTAINERS: Final = frozenset({"ogg_opus", "aac"})

LONGEST_S: Final = 3 * 3600
"""Of audio in one session."""
UNCHANGED: Final = 4000
"""The code of a warning: what a running session cannot change."""


async def listen_live(request: web.Request, context: Context) -> web.StreamResponse:
    principal = await admit(request)
    dialect = AssemblyLive(
        request.query,
        session_id=request.get(REQUEST_ID, ""),
        now=context.clock.now,
        model=context.settings.model,
    )
    return await serve(request, context, dialect, name=NAME, tenant=principal.tenant)


class AssemblyLive:
    """One session. What is wrong with its parameters is said on the socket."""

    def __init__(self, query: MultiMapping[str], *, session_id: str, now: Callable[[], float], model: str) -> None:
        self._session_id = session_id
        self._now = now
        self._began = now()
        self._silent_s = float("inf")
        self._begin: Begin | BridgeError
        self._partials = True
        self._turns = Turns(formatted=False, with_language=False)
        try:
            self._read(query, model)
        except BridgeError as error:
            self._begin = error

    def _read(self, query: MultiMapping[str], model: str) -> None:
        """Raises BridgeError."""
        self._partials = flag(query, "include_partial_turns", default=True)
        self._turns = Turns(formatted=flag(query, "format_turns"), with_language=flag(query, "language_detection"))
        self._silent_s = number(query, "inactivity_timeout", least=5, most=3600) or float("inf")
        self._begin = Begin(
            sound=_sound(query),
            carrier=NAME,
            carrier_call_id=self._session_id,
            parameters={**_parameters(query, model), "partials": "on" if self._partials else "off"},
        )

    def opened(self) -> Sequence[Wish]:
        if isinstance(self._begin, BridgeError):
            return self.fault(self._begin)
        expires_at = int(self._began + LONGEST_S)
        return [self._say({"type": "Begin", "id": self._session_id, "expires_at": expires_at}), self._begin]

    def receive(self, message: str | bytes) -> Sequence[Wish]:
        if isinstance(message, bytes):
            return [Hear(data=message)]
        try:
            told = object_from_json(message)
        except ValueError:
            raise CarrierProtocolError("a text message that is no JSON object") from None
        match told.get("type"):
            case "ForceEndpoint":
                return [Finalise()]
            case "Terminate":
                return [Finish()]
            case "UpdateConfiguration":
                return self._update(told)
        return []

    def _update(self, told: Mapping[str, Any]) -> Sequence[Wish]:
        if isinstance(wanted := told.get("format_turns"), bool):
            self._turns.formatted = wanted
        fixed = sorted(set(told) - {"type", "format_turns"})
        if not fixed:
            return []
        why = f"{', '.join(fixed)[:200]} cannot be changed while a session runs"
        return [self._say({"type": "Warning", "warning_code": UNCHANGED, "warning": why})]

    def heard(self, until_ms: int) -> Sequence[Wish]:
        if until_ms < LONGEST_S * 1000:
            return []
        return self._error(EXPIRED, "the session has lasted for three hours")

    def quiet(self, seconds: float) -> Sequence[Wish]:
        return [Finish(reason="nothing has come for inactivity_timeout")] if seconds >= self._silent_s else []

    def tell(self, event: Event) -> Sequence[Wish]:
        match event.body:
            case SpeechStarted(at_ms=at_ms):
                return [self._say({"type": "SpeechStarted", "timestamp": at_ms})]
            case SpeechEnded(at_ms=at_ms):
                self._turns.ended(at_ms)
            case TranscriptPartial() as partial if self._partials:
                return self._all(self._turns.partial(partial))
            case TranscriptFinal() as final:
                return self._all(self._turns.final(final))
            case CallEnded(duration_ms=duration_ms):
                return [*self._all(self._turns.end()), self._say(self._termination(duration_ms))]
        return []

    def fault(self, error: BridgeError) -> Sequence[Wish]:
        return self._error(close_code(error), error.message)

    # -- messages --------------------------------------------------------------------------------------------------

    def _termination(self, duration_ms: int) -> Message:
        return {
            "type": "Termination",
            "audio_duration_seconds": round(duration_ms / 1000),
            "session_duration_seconds": max(0, round(self._now() - self._began)),
        }

    def _error(self, code: int, why: str) -> Sequence[Wish]:
        return [self._say({"type": "Error", "error_code": code, "error": why}), Finish(code=code, reason=why)]

    def _all(self, messages: Sequence[Message]) -> list[Wish]:
        return [self._say(message) for message in messages]

    def _say(self, message: Message) -> Say:
        return Say(text=json.dumps(message, ensure_ascii=False))


def _sound(query: MultiMapping[str]) -> Sound:
    encoding = query.get("encoding", "pcm_s16le")
    if encoding in CONTAINERS:
        return ContainerSound(encoding)
    if encoding == "opus":
        return RawSound("opus", 48_000)
    if encoding not in PCM:
        raise InvalidRequestError(f"encoding must be one of {', '.join([*PCM, 'opus', *sorted(CONTAINERS)])}")
    if not query.get("sample_rate"):
        raise InvalidRequestError(f"encoding {encoding} needs a sample_rate")
    return RawSound(PCM[encoding], whole(query, "sample_rate", 0, least=4000, most=192_000))


def _parameters(query: MultiMapping[str], model: str) -> dict[str, str]:
    """Raises InvalidRequestError."""
    found = {"keywords": ",".join(_array(query, "keyterms_prompt"))}
    if flag(query, "speaker_labels"):
        found["diarize"] = "true"
    code = _language(query, model)
    if code is not None:
        found["language"] = code
    silences = ("max_turn_silence", "min_turn_silence", "min_end_of_turn_silence_when_confident")
    given = [silence for name in silences if (silence := whole(query, name, 0, least=0, most=60_000))]
    if given:
        found["endpointing_ms"] = str(given[0])
    threshold = number(query, "vad_threshold", least=0, most=1)
    if threshold is not None:
        found["vad_threshold"] = str(threshold)
    return found


def _language(query: MultiMapping[str], model: str) -> str | None:
    """English, unless something else, several things, or finding it out is asked for."""
    given = _array(query, "language_codes") or list(filter(None, [query.get("language_code")]))
    if len(given) == 1:
        return language_of(given[0], model)
    several = len(given) > 1 or "multilingual" in query.get("speech_model", "")
    return None if several or flag(query, "language_detection") else "en"


def _array(query: MultiMapping[str], name: str) -> list[str]:
    """The texts of a JSON array, or of a parameter that is repeated. Raises InvalidRequestError."""
    given = query.getall(name, [])
    if len(given) != 1 or not given[0].startswith("["):
        return given
    try:
        found = from_json(given[0])
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise InvalidRequestError(f"{name} must be a JSON array of texts")
    return found
