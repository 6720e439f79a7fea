"""WS `/voice/stream/live/transcribe/{language}/{token}/{session}`: live audio in, chunks of text out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Final

from aiohttp import web
from multidict import MultiMapping

from bridge.compat.asking import admit_token, flag, number
from bridge.compat.dialogue import Begin, Finalise, Finish, Hear, Say, Wish
from bridge.compat.flushing import Lull
from bridge.compat.live import serve
from bridge.compat.sound import RawSound
from bridge.errors import BridgeError, InvalidRequestError
from bridge.model.events import Event, TranscriptFinal, TranscriptPartial
from bridge.model.foreign import object_from_json
from bridge.web.context import Context
from bridge.web.observe import REQUEST_ID
from bridge.web.uploads import language_of

NAME: Final = "neuralspace"

RATES: Final = {"pcm_16k": 16_000, "pcm_8k": 8000}
USUAL_MIN_S: Final = 1.0
USUAL_MAX_S: Final = 5.0
USUAL_SILENCE_S: Final = 0.1
LONGEST_CHUNK_S: Final = 20.0

SILENT_S: Final = 120.0
"""So long without anything, and the stream ends: its clients wait no longer for us either."""
LONGEST_SESSION: Final = 128


async def listen_live(request: web.Request, context: Context) -> web.StreamResponse:
    """The token in the path is all that a client shows of itself."""
    asked = request.match_info
    principal = await admit_token(request, asked["token"])
    dialect = NeuralSpaceLive(
        request.query,
        language=language_of(asked["language"], context.settings.model),
        session=asked["session"][:LONGEST_SESSION],
        stream_id=request.get(REQUEST_ID, ""),
        now=context.clock.now,
    )
    return await serve(request, context, dialect, name=NAME, tenant=principal.tenant)


class NeuralSpaceLive:
    """One stream. Its clients read `text` and `full` of every message, so nothing else is ever said."""

    def __init__(
        self,
        query: MultiMapping[str],
        *,
        language: str | None,
        session: str,
        stream_id: str,
        now: Callable[[], float],
    ) -> None:
        """Raises InvalidRequestError."""
        self._session = session
        self._stream_id = stream_id
        self._now = now
        self._min_ms = 1000 * _seconds(query, "min_chunk_size", USUAL_MIN_S)
        self._partials = not flag(query, "disable_partial")
        self._begin = Begin(
            sound=RawSound("linear16", _rate(query)),
            carrier=NAME,
            carrier_call_id=session,
            parameters=_parameters(query, language, partials=self._partials),
        )
        self._lull = Lull()
        self._chunk = 0
        self._shown_ms = 0.0
        """Up to where the last partial of this chunk went."""

    def opened(self) -> Sequence[Wish]:
        return [self._begin]

    def receive(self, message: str | bytes) -> Sequence[Wish]:
        if message and isinstance(message, bytes):
            self._lull.heard()
            return [Hear(data=message)]
        return [Finalise()] if not message or _is_finalize(message) else []

    def heard(self, until_ms: int) -> Sequence[Wish]:
        del until_ms
        return []

    def quiet(self, seconds: float) -> Sequence[Wish]:
        if seconds >= SILENT_S:
            return [Finish(reason="nothing has come for 120 s")]
        return [Finalise()] if self._lull.lasts(seconds) else []

    def tell(self, event: Event) -> Sequence[Wish]:
        match event.body:
            case TranscriptPartial(start_ms=start_ms, end_ms=end_ms, text=text) if self._partials:
                if end_ms - max(self._shown_ms, start_ms) < self._min_ms:
                    return []
                self._shown_ms = end_ms
                return [self._result(text, (start_ms, end_ms), full=False)]
            case TranscriptFinal(start_ms=start_ms, end_ms=end_ms, text=text):
                said = self._result(text, (start_ms, end_ms), full=True)
                self._chunk += 1
                self._shown_ms = 0.0
                return [said]
        return []

    def fault(self, error: BridgeError) -> Sequence[Wish]:
        return [Finish(code=1008 if error.status < 500 else 1011, reason=error.message)]

    def _result(self, text: str, span_ms: tuple[int, int], *, full: bool) -> Say:
        start_ms, end_ms = span_ms
        message = {
            "full": full,
            "stream_id": self._stream_id,
            "chunk_id": self._chunk,
            "start_time": start_ms / 1000,
            "end_time": end_ms / 1000,
            "send_time": self._now(),
            "text": text,
        }
        return Say(text=json.dumps(message, ensure_ascii=False))


def _parameters(query: MultiMapping[str], language: str | None, *, partials: bool) -> dict[str, str]:
    longest_s = _seconds(query, "max_chunk_size", USUAL_MAX_S)
    if longest_s < _seconds(query, "min_chunk_size", USUAL_MIN_S) or longest_s <= 0:
        raise InvalidRequestError("max_chunk_size must be at least min_chunk_size")
    found = {
        "partials": "on" if partials else "off",
        "segment_ms": str(round(1000 * longest_s)),
        "endpointing_ms": str(round(1000 * _seconds(query, "vad_min_silence", USUAL_SILENCE_S))),
    }
    if language is not None:
        found["language"] = language
    threshold = number(query, "vad_threshold", least=0, most=1)
    if threshold is not None:
        found["vad_threshold"] = str(threshold)
    return found


def _seconds(query: MultiMapping[str], name: str, usual: float) -> float:
    given = number(query, name, least=0, most=LONGEST_CHUNK_S)
    return usual if given is None else given


def _rate(query: MultiMapping[str]) -> int:
    name = query.get("format", "pcm_16k")
    if name not in RATES:
        raise InvalidRequestError(f"format must be one of {', '.join(RATES)}")
    return RATES[name]


def _is_finalize(message: str | bytes) -> bool:
    try:
        return bool(object_from_json(message).get("type") == "finalize")
    except ValueError:
        return False
