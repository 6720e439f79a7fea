"""WS `/v2/listen`: live audio in, whose turn it is out, as Deepgram's Flux tells it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiohttp import web
from multidict import MultiDict, MultiMapping

from bridge.compat.asking import admit, listed, number, whole
from bridge.compat.container import ContainerSound
from bridge.compat.dialogue import Begin, ChangeTurns, Finalise, Finish, Hear, Say, Wish
from bridge.compat.live import serve
from bridge.compat.sound import ENCODINGS, RawSound, Sound
from bridge.errors import BridgeError, CarrierProtocolError, InvalidRequestError
from bridge.model.events import (
    Event,
    SpeechFlushed,
    TranscriptFinal,
    TranscriptPartial,
    TurnEagerEnded,
    TurnEnded,
    TurnResumed,
    TurnStarted,
)
from bridge.model.foreign import object_from_json
from bridge.model.words import Word
from bridge.web.context import Context
from bridge.web.observe import REQUEST_ID
from bridge.web.uploads import language_of

NAME: Final = "deepgram-turns"
SCHEMES: Final = ("token", "bearer")
MODELS: Final = ("flux-general-en", "flux-general-multi")
CONTAINERS: Final = frozenset({"ogg-opus"})

THRESHOLD, EAGER, TIMEOUT = "eot_threshold", "eager_eot_threshold", "eot_timeout_ms"
USUAL, USUAL_TIMEOUT = "0.7", "5000"

SILENT_S: Final = 60.0
"""So long without anything, and the session ends: there is no KeepAlive here."""


async def listen_turns(request: web.Request, context: Context) -> web.StreamResponse:
    principal = await admit(request, subprotocols=SCHEMES)
    dialect = DeepgramTurns(request.query, request_id=request.get(REQUEST_ID, ""), model=context.settings.model)
    return await serve(request, context, dialect, name=NAME, tenant=principal.tenant, protocols=SCHEMES)


class DeepgramTurns:
    """One session. Turns are numbered here: a client may end one that goes on for us."""

    def __init__(self, query: MultiMapping[str], *, request_id: str, model: str) -> None:
        """Raises InvalidRequestError, UnsupportedMediaError."""
        self._request_id = request_id
        self._thresholds = {THRESHOLD: USUAL, TIMEOUT: USUAL_TIMEOUT, **_thresholds(query)}
        _check_eager(self._thresholds)
        self._eager = EAGER in self._thresholds
        self._keyterms = listed(query, "keyterm")
        self._begin = Begin(
            sound=_sound(query),
            carrier=NAME,
            carrier_call_id=request_id,
            parameters=_parameters(query, model) | self._thresholds,
        )
        self._sequence = itertools.count()
        self._turn = 0
        self._begin_ms: int | None = None
        """Where the turn began; None while it is nobody's."""
        self._words: list[Word] = []
        """Of this turn, as far as they stand."""
        self._texts: list[str] = []
        self._resumable = False
        """An eager end has been told, and not been taken back."""
        self._forced = 0
        """Ends of turns that the client wants."""
        self._split = False
        """The client has ended a turn that went on: our text of it is not the whole."""

    def opened(self) -> Sequence[Wish]:
        return [self._say("Connected"), self._begin]

    def receive(self, message: str | bytes) -> Sequence[Wish]:
        if isinstance(message, bytes):
            return [Hear(data=message)] if message else [Finish()]
        try:
            told = object_from_json(message)
        except ValueError:
            raise CarrierProtocolError("a text message that is no JSON object") from None
        match told.get("type"):
            case "CloseStream":
                return [Finish()]
            case "ForceEndTurn":
                self._forced += 1
                return [Finalise()]
            case "Configure":
                return self._configure(told)
        return []

    def _configure(self, told: Mapping[str, Any]) -> Sequence[Wish]:
        """Thresholds alone; a change that cannot be made changes nothing."""
        if any(told.get(name) for name in ("keyterms", "language_hints")):
            why = "keyterms and hints are given when the stream is opened"
            return [self._say("ConfigureFailure", code="CONFIGURE_KEYTERMS_NOT_SUPPORTED", description=why)]
        try:
            wanted = self._changed(told.get("thresholds") or {})
        except InvalidRequestError as error:
            return [self._say("ConfigureFailure", code="CONFIGURE_INTERNAL_ERROR", description=error.message)]
        self._thresholds = wanted
        self._eager = EAGER in wanted
        shown = {name: float(value) for name, value in wanted.items()}
        told_back = self._say("ConfigureSuccess", thresholds=shown, keyterms=self._keyterms)
        return [ChangeTurns(parameters=wanted), told_back]

    def _changed(self, given: Any) -> dict[str, str]:
        """The thresholds that there would be. Raises InvalidRequestError."""
        if not isinstance(given, Mapping):
            raise InvalidRequestError("thresholds must be an object")
        asked = MultiDict({name: str(value) for name, value in given.items() if value is not None})
        wanted = {**self._thresholds, **_thresholds(asked)}
        _check_eager(wanted)
        return wanted

    def heard(self, until_ms: int) -> Sequence[Wish]:
        del until_ms
        return []

    def quiet(self, seconds: float) -> Sequence[Wish]:
        return self._end("NET-0001", "nothing has come for 60 s", 1011) if seconds >= SILENT_S else []

    def tell(self, event: Event) -> Sequence[Wish]:  # noqa: PLR0911  # a table, as a match
        match event.body:
            case TurnStarted(at_ms=at_ms, probability=sure):
                return self._started(at_ms, sure)
            case TranscriptPartial(start_ms=start_ms, end_ms=end_ms, text=text):
                return [*self._started(start_ms), self._told("Update", end_ms, text)]
            case TranscriptFinal() as final:
                self._words += final.words
                self._texts.append(final.text)
                return self._started(final.start_ms)
            case TurnEagerEnded(at_ms=at_ms, probability=sure, text=text) if self._eager and text:
                self._resumable = True
                return [*self._started(at_ms), self._info("EagerEndOfTurn", at_ms, self._whole(text), sure)]
            case TurnResumed(at_ms=at_ms, probability=sure) if self._resumable:
                self._resumable = False
                return [self._info("TurnResumed", at_ms, " ".join(self._texts), sure)]
            case TurnEnded(at_ms=at_ms, probability=sure, text=text, reason=reason):
                trigger = "timeout" if reason == "timeout" else "model"
                return self._ended(at_ms, self._whole(text), sure, trigger)
            case SpeechFlushed(at_ms=at_ms) if self._forced:
                self._forced -= 1
                return self._force(at_ms)
        return []

    def fault(self, error: BridgeError) -> Sequence[Wish]:
        theirs = error.status < 500
        return self._end("DATA-0000" if theirs else "NET-0000", error.message, 1008 if theirs else 1011)

    # -- turns -----------------------------------------------------------------------------------------------------

    def _started(self, at_ms: int, sure: float = 0.0) -> Sequence[Wish]:
        if self._begin_ms is not None:
            return []
        self._begin_ms = at_ms
        return [self._info("StartOfTurn", at_ms, "", sure)]

    def _told(self, kind: str, at_ms: int, doubtful: str) -> Say:
        return self._info(kind, at_ms, " ".join([*self._texts, doubtful]), 0.0)

    def _whole(self, text: str) -> str:
        """What the turn says, unless a part of it was another turn for the client."""
        return " ".join(self._texts) if self._split else text

    def _force(self, at_ms: int) -> Sequence[Wish]:
        if self._begin_ms is None:
            return []
        told = self._ended(at_ms, " ".join(self._texts), 1.0, "manual")
        self._split = True
        return told

    def _ended(self, at_ms: int, text: str, sure: float, trigger: str) -> Sequence[Wish]:
        told = [] if self._begin_ms is None else [self._info("EndOfTurn", at_ms, text, sure, trigger=trigger)]
        self._turn += len(told)
        self._begin_ms = None
        self._words, self._texts = [], []
        self._resumable = self._split = False
        return told

    # -- messages --------------------------------------------------------------------------------------------------

    def _info(self, event: str, at_ms: int, text: str, sure: float, **more: Any) -> Say:
        begin_ms = at_ms if self._begin_ms is None else self._begin_ms
        return self._say(
            "TurnInfo",
            event=event,
            turn_index=self._turn,
            audio_window_start=begin_ms / 1000,
            audio_window_end=max(begin_ms, at_ms) / 1000,
            transcript=text,
            words=self._words_of(text),
            end_of_turn_confidence=sure,
            **more,
        )

    def _words_of(self, text: str) -> list[Mapping[str, Any]]:
        """Words that stand have times; of the others nothing is known but how they read."""
        told = text.split()
        sure = itertools.takewhile(lambda pair: pair[0].word == pair[1], zip(self._words, told, strict=False))
        known: list[Mapping[str, Any]] = [
            {
                "word": word.word,
                "confidence": word.confidence,
                "start": word.start_ms / 1000,
                "end": word.end_ms / 1000,
            }
            for word, _ in sure
        ]
        return [*known, *({"word": word, "confidence": 0.0} for word in told[len(known) :])]

    def _end(self, code: str, why: str, close_code: int) -> Sequence[Wish]:
        told = {"type": "Error", "sequence_id": next(self._sequence), "code": code, "description": why}
        return [Say(text=json.dumps(told, ensure_ascii=False)), Finish(code=close_code, reason=f"{code}: {why}")]

    def _say(self, kind: str, **fields: Any) -> Say:
        told = {"type": kind, "request_id": self._request_id, "sequence_id": next(self._sequence), **fields}
        return Say(text=json.dumps(told, ensure_ascii=False))


def _sound(query: MultiMapping[str]) -> Sound:
    encoding = query.get("encoding")
    if encoding is None or encoding in CONTAINERS:
        return ContainerSound(encoding)
    if encoding not in ENCODINGS:
        raise InvalidRequestError(f"encoding {encoding[:32]!r} is not decoded here")
    if "sample_rate" not in query and encoding != "opus":
        raise InvalidRequestError(f"encoding={encoding} needs a sample_rate")
    return RawSound(encoding, whole(query, "sample_rate", 48_000, least=4000, most=192_000))


def _parameters(query: MultiMapping[str], model: str) -> dict[str, str]:
    """Raises InvalidRequestError."""
    named = query.get("model", "")
    if named not in MODELS:
        raise InvalidRequestError(f"model must be one of {', '.join(MODELS)}")
    hints = listed(query, "language_hint")
    hint = hints[0] if len(hints) == 1 else "auto"
    code = language_of("en" if named == MODELS[0] else hint, model)
    found = {"turns": "bot", "keywords": ",".join(listed(query, "keyterm"))}
    if code is not None:
        found["language"] = code
    if "tag" in query:
        found["metadata.tag"] = ",".join(listed(query, "tag"))
    return found


def _thresholds(given: MultiMapping[str]) -> dict[str, str]:
    """Those that are given, as a call's parameters. Raises InvalidRequestError."""
    threshold = number(given, THRESHOLD, least=0.5, most=1)
    eager = number(given, EAGER, least=0.3, most=0.9)
    timeout_ms = whole(given, TIMEOUT, 0, least=500, most=60_000)
    found = {THRESHOLD: threshold, EAGER: eager, TIMEOUT: timeout_ms or None}
    return {name: str(value) for name, value in found.items() if value is not None}


def _check_eager(thresholds: Mapping[str, str]) -> None:
    """Raises InvalidRequestError."""
    if float(thresholds.get(EAGER, 0)) > float(thresholds[THRESHOLD]):
        raise InvalidRequestError(f"{EAGER} must not be above {THRESHOLD}")
