"""WS `/v1/listen`: live audio in, `Results` and the events around them out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web
from multidict import MultiMapping

from bridge.compat.asking import admit, flag, listed, whole
from bridge.compat.container import FORMATS, ContainerSound
from bridge.compat.deepgram.wording import Wording, keyterms, language, model_info, model_uuid
from bridge.compat.dialogue import Begin, Finalise, Finish, Hear, Say, Wish
from bridge.compat.flushing import Flushing
from bridge.compat.live import serve
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
    rfc3339,
)
from bridge.model.foreign import object_from_json
from bridge.model.stream import Leg
from bridge.web.context import Context
from bridge.web.observe import REQUEST_ID
from bridge.web.uploads import language_of

NAME: Final = "deepgram"
SCHEMES: Final = ("token", "bearer")
"""What a browser puts before its credential, as a subprotocol."""

SILENT_S: Final = 10.0
"""So long without audio or KeepAlive, and Deepgram hangs up."""


async def listen_live(request: web.Request, context: Context) -> web.StreamResponse:
    principal = await admit(request, subprotocols=SCHEMES)
    request_id = request.get(REQUEST_ID, "")
    dialect = DeepgramLive(request.query, request_id=request_id, now=context.clock.now(), model=context.settings.model)
    return await serve(request, context, dialect, name=NAME, tenant=principal.tenant, protocols=SCHEMES)


class DeepgramLive:
    """One session."""

    def __init__(self, query: MultiMapping[str], *, request_id: str, now: float, model: str) -> None:
        """Raises InvalidRequestError, UnsupportedMediaError."""
        if "callback" in query:
            raise InvalidRequestError("callback is for recordings here: what is live is told on the socket")
        self._request_id = request_id
        self._created = rfc3339(now)
        self._model = model
        self._wording = Wording.of(query)
        self._interim = flag(query, "interim_results")
        self._vad_events = flag(query, "vad_events")
        self._utterance_end_ms = whole(query, "utterance_end_ms", 0, least=0, most=60_000)
        self._endpointing = query.get("endpointing", "").lower() != "false"
        self._apart = flag(query, "multichannel")
        self._sound = _sound(query, apart=self._apart)
        self._parameters = _parameters(query, model, endpointing=self._endpointing, interim=self._interim)
        self._digest = hashlib.sha256()
        self._channels = {leg: _Channel(leg, number) for number, leg in enumerate(self._sound.legs)}
        self._until_ms = 0

    def opened(self) -> Sequence[Wish]:
        begin = Begin(sound=self._sound, carrier=NAME, carrier_call_id=self._request_id, parameters=self._parameters)
        return [begin]

    def receive(self, message: str | bytes) -> Sequence[Wish]:
        if isinstance(message, bytes):
            self._digest.update(message)
            return [Hear(data=message)] if message else [Finish()]  # an empty one is how older clients end
        try:
            kind = object_from_json(message).get("type")
        except ValueError:
            return [self._say("Error", variant="SchemaError", description="not a message", message=message[:200])]
        match kind:
            case "Finalize":
                for channel in self._channels.values():
                    channel.flushing.ask()
                return [Finalise()]
            case "CloseStream":
                return [Finish()]
            case "Configure":
                return [
                    self._say(
                        "ConfigureFailure",
                        request_id=self._request_id,
                        code="CONFIGURE_INTERNAL_ERROR",
                        description="keyterms are given when the stream is opened",
                    )
                ]
        return []  # KeepAlive, and whatever is added to the protocol

    def heard(self, until_ms: int) -> Sequence[Wish]:
        self._until_ms = until_ms
        return [end for channel in self._channels.values() for end in self._utterance_end(channel)]

    def quiet(self, seconds: float) -> Sequence[Wish]:
        if seconds < SILENT_S:
            return []
        return [Finish(code=1011, reason="NET-0001: no audio and no KeepAlive for 10 s")]

    def tell(self, event: Event) -> Sequence[Wish]:  # a table, as a match
        match event.body:
            case SpeechStarted(leg=leg, at_ms=at_ms):
                return self._speech_started(self._channels[leg], at_ms)
            case SpeechEnded(leg=leg):
                self._channels[leg].speaking = False
            case TranscriptPartial() as partial if self._interim:
                return [self._partial(partial)]
            case TranscriptFinal() as final:
                return self._final(final)
            case SpeechFlushed(leg=leg, at_ms=at_ms):
                return self._flushed(self._channels[leg], at_ms)
            case CallEnded(duration_ms=duration_ms):
                return [self._metadata(duration_ms)]
        return []

    def fault(self, error: BridgeError) -> Sequence[Wish]:
        if isinstance(error, CarrierProtocolError):
            return [Finish(code=1008, reason=f"DATA-0000: {error.message}")]
        return [Finish(code=1011, reason=f"NET-0000: {error.message}")]

    # -- messages --------------------------------------------------------------------------------------------------

    def _speech_started(self, channel: _Channel, at_ms: int) -> Sequence[Wish]:
        channel.speaking = True
        if not self._vad_events:
            return []
        return [self._say("SpeechStarted", channel=self._index(channel), timestamp=at_ms / 1000)]

    def _partial(self, partial: TranscriptPartial) -> Say:
        alternative = {"transcript": self._wording.text(partial.text), "confidence": 0.0, "words": []}
        return self._results(
            self._channels[partial.leg], (partial.start_ms, partial.end_ms), alternative, is_final=False
        )

    def _final(self, final: TranscriptFinal) -> Sequence[Wish]:
        channel = self._channels[final.leg]
        channel.last_word_end_ms = final.words[-1].end_ms if final.words else final.end_ms
        channel.owes_end = True
        alternative = self._wording.alternative([final.as_segment()])
        for word in alternative["words"]:
            word["language"] = final.language
        told = self._results(
            channel,
            (final.start_ms, final.end_ms),
            alternative,
            speech_final=self._endpointing,
            from_finalize=channel.flushing.final(),
        )
        return [told, *self._utterance_end(channel)]

    def _flushed(self, channel: _Channel, at_ms: int) -> Sequence[Wish]:
        """Finalize is always answered, if only by saying that nothing was left."""
        if not channel.flushing.flushed():
            return []
        nothing = {"transcript": "", "confidence": 0.0, "words": []}
        return [self._results(channel, (at_ms, at_ms), nothing, from_finalize=True)]

    def _utterance_end(self, channel: _Channel) -> Sequence[Wish]:
        """Once, when so much has been heard behind the last word."""
        end_ms = channel.last_word_end_ms
        if not (self._utterance_end_ms and channel.owes_end) or channel.speaking:
            return []
        if self._until_ms < end_ms + self._utterance_end_ms:
            return []
        channel.owes_end = False
        return [self._say("UtteranceEnd", channel=self._index(channel), last_word_end=end_ms / 1000)]

    def _results(
        self,
        channel: _Channel,
        span_ms: tuple[int, int],
        alternative: dict[str, Any],
        *,
        is_final: bool = True,
        speech_final: bool = False,
        from_finalize: bool = False,
    ) -> Say:
        start_ms, end_ms = span_ms
        return self._say(
            "Results",
            channel_index=self._index(channel),
            duration=(end_ms - start_ms) / 1000,
            start=start_ms / 1000,
            is_final=is_final,
            speech_final=speech_final,
            channel={"alternatives": [alternative]},
            metadata={
                "request_id": self._request_id,
                "model_info": model_info(self._model),
                "model_uuid": model_uuid(self._model),
            },
            from_finalize=from_finalize,
        )

    def _metadata(self, duration_ms: int) -> Say:
        uuid = model_uuid(self._model)
        return self._say(
            "Metadata",
            transaction_key="deprecated",
            request_id=self._request_id,
            sha256=self._digest.hexdigest(),
            created=self._created,
            duration=duration_ms / 1000,
            channels=len(self._channels),
            models=[uuid],
            model_info={uuid: model_info(self._model)},
        )

    def _index(self, channel: _Channel) -> list[int]:
        return [channel.number, len(self._channels)]

    def _say(self, kind: str, **fields: Any) -> Say:
        return Say(text=json.dumps({"type": kind, **fields}, ensure_ascii=False))


class _Channel:
    """What has been told of one channel."""

    def __init__(self, leg: Leg, number: int) -> None:
        self.leg = leg
        self.number = number
        self.speaking = False
        self.last_word_end_ms = -1
        self.owes_end = False
        """A word has been told, and no UtteranceEnd after it."""
        self.flushing = Flushing()


def _sound(query: MultiMapping[str], *, apart: bool) -> Sound:
    encoding = query.get("encoding")
    channels = whole(query, "channels", 1, least=1, most=2)
    if encoding is None or encoding in FORMATS:
        return ContainerSound(encoding, channels=channels if apart else 1)
    if encoding not in ENCODINGS:
        raise InvalidRequestError(f"encoding {encoding[:32]!r} is not decoded here")
    if "sample_rate" not in query and encoding != "opus":
        raise InvalidRequestError(f"encoding={encoding} needs a sample_rate")
    rate = whole(query, "sample_rate", 48_000, least=4000, most=192_000)
    return RawSound(encoding, rate, channels=channels, apart=apart)


def _parameters(query: MultiMapping[str], model: str, *, endpointing: bool, interim: bool) -> dict[str, str]:
    """Raises InvalidRequestError."""
    parameters = {"keywords": ",".join(keyterms(query)), "partials": "on" if interim else "off"}
    code = language_of(language(query), model)
    if code is not None:
        parameters["language"] = code
    if endpointing and query.get("endpointing", "").lower() not in {"", "true"}:
        parameters["endpointing_ms"] = str(whole(query, "endpointing", 0, least=0, most=5000))
    if flag(query, "diarize"):
        parameters["diarize"] = "true"
    if "tag" in query:
        parameters["metadata.tag"] = ",".join(listed(query, "tag"))
    return parameters
