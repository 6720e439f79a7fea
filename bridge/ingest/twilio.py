"""Twilio Media Streams: JSON text, one track a message, base64 μ-law at 8 kHz (twilio.com/docs/voice/media-streams)."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Final, TypeAlias

from bridge.errors import CarrierProtocolError
from bridge.ingest.fields import base64_bytes, identifier, json_object, number, parameters, part, whole
from bridge.ingest.formats import media_format
from bridge.model.stream import (
    DtmfDigit,
    Encoding,
    Leg,
    MarkReached,
    MediaChunk,
    MediaFormat,
    StreamItem,
    StreamStarted,
    StreamStopped,
)

Body: TypeAlias = dict[str, Any]
Legs: TypeAlias = tuple[Leg, ...]
Reader: TypeAlias = Callable[[Body, Legs], list[StreamItem]]

LEGS: Final = {
    "inbound": Leg.CALLER,
    "outbound": Leg.AGENT,
    "inbound_track": Leg.CALLER,  # the spelling of `dtmf` messages
    "outbound_track": Leg.AGENT,
}
"""`inbound` is what Twilio receives from the leg that runs the TwiML, `outbound` what it plays to it."""

DIGITS: Final = frozenset("0123456789*#ABCD")


class State(Enum):
    """How far a stream has come."""

    NEW = auto()
    CONNECTED = auto()
    STREAMING = auto()
    STOPPED = auto()


class TwilioStream:
    """One Twilio media stream, without its socket: messages in, values out."""

    def __init__(self) -> None:
        self.state = State.NEW
        self._legs: Legs = ()

    def receive(self, message: str | bytes) -> list[StreamItem]:
        """Raises CarrierProtocolError and UnsupportedMediaError; state and output are then unchanged."""
        body = json_object(message)
        kind = body.get("event")
        if not isinstance(kind, str):
            raise CarrierProtocolError("a message without 'event'")
        if kind not in KINDS:  # Twilio may add kinds; a live call outlasts that
            return []
        try:
            read, after = TABLE[self.state, kind]
        except KeyError:
            raise CarrierProtocolError(f"{kind!r} while {self.state.name}") from None
        items = read(body, self._legs)
        self.state = after  # only once the body was good
        if kind == "start":
            self._legs = _announced(part(body, "start"))
        return items


def _nothing(_body: Body, _legs: Legs) -> list[StreamItem]:
    return []


def _started(body: Body, _legs: Legs) -> list[StreamItem]:
    start = part(body, "start")
    return [
        StreamStarted(
            carrier="twilio",
            carrier_call_id=identifier(start, "callSid"),
            stream_id=identifier({**body, **start}, "streamSid"),  # stands in both places; either will do
            legs=_announced(start),
            media_format=_format(start.get("mediaFormat")),
            parameters=parameters(start.get("customParameters")),
        )
    ]


def _media(body: Body, legs: Legs) -> list[StreamItem]:
    media = part(body, "media")
    return [
        MediaChunk(
            leg=_leg(media, legs),
            payload=base64_bytes(media.get("payload")),
            sequence=whole(media.get("chunk")),
            timestamp_ms=number(media.get("timestamp")),
        )
    ]


def _dtmf(body: Body, legs: Legs) -> list[StreamItem]:
    dtmf = part(body, "dtmf")
    digit = dtmf.get("digit")
    if not isinstance(digit, str) or digit.upper() not in DIGITS:
        raise CarrierProtocolError("'dtmf' without a digit")
    return [DtmfDigit(leg=_leg(dtmf, legs), digit=digit.upper())]


def _mark(body: Body, _legs: Legs) -> list[StreamItem]:
    return [MarkReached(name=identifier(part(body, "mark"), "name"))]


def _stopped(_body: Body, _legs: Legs) -> list[StreamItem]:
    return [StreamStopped()]


def _leg(message: Body, legs: Legs) -> Leg:
    """Whose track a message is of; where it does not say, the stream's only one, or its first."""
    track = message.get("track")
    if track is None:
        return legs[0]
    leg = LEGS.get(track) if isinstance(track, str) else None
    if leg not in legs:
        raise CarrierProtocolError("a track that 'start' did not announce")
    return leg


def _announced(start: Body) -> Legs:
    """The legs of `start.tracks`, in their order; both where it is left out."""
    tracks = start.get("tracks", ["inbound", "outbound"])
    if not isinstance(tracks, list):
        raise CarrierProtocolError("'start' whose tracks are no list")
    found = [LEGS.get(track) if isinstance(track, str) else None for track in tracks]
    legs = tuple(dict.fromkeys(leg for leg in found if leg is not None))
    if not legs or None in found:
        raise CarrierProtocolError("'start' with tracks that are neither inbound nor outbound")
    return legs


def _format(announced: object) -> MediaFormat:
    """`start.mediaFormat`; the documented one where it is left out."""
    if announced is None:
        return MediaFormat(encoding=Encoding.PCMU, sample_rate=8000)
    if not isinstance(announced, dict):
        raise CarrierProtocolError("no object 'mediaFormat'")
    return media_format(announced.get("encoding"), announced.get("sampleRate"), announced.get("channels", 1))


TABLE: Final[dict[tuple[State, str], tuple[Reader, State]]] = {
    (State.NEW, "connected"): (_nothing, State.CONNECTED),
    (State.CONNECTED, "start"): (_started, State.STREAMING),
    (State.STREAMING, "media"): (_media, State.STREAMING),
    (State.STREAMING, "dtmf"): (_dtmf, State.STREAMING),
    (State.STREAMING, "mark"): (_mark, State.STREAMING),
    (State.STREAMING, "stop"): (_stopped, State.STOPPED),
    # What was on its way when the call ended still comes, and still counts.
    (State.STOPPED, "media"): (_media, State.STOPPED),
    (State.STOPPED, "dtmf"): (_dtmf, State.STOPPED),
    (State.STOPPED, "mark"): (_mark, State.STOPPED),
    (State.STOPPED, "stop"): (_nothing, State.STOPPED),
}
KINDS: Final = frozenset(kind for _, kind in TABLE)
