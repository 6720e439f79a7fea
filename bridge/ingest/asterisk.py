"""Asterisk's channel driver WebSocket: raw audio as binary messages, one channel of it, and events as text.

docs.asterisk.org, "WebSocket Channel Driver"; Asterisk's channels/chan_websocket.c. Events come as words with
`name:value` pairs, or as JSON where `f(json)` asks for it. The format is told in MEDIA_START, which on busy machines
comes after the first audio (asterisk#1712). There is neither a count nor a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from bridge.errors import CarrierProtocolError, UnsupportedMediaError
from bridge.ingest.fields import MAX_IDENTIFIER, json_object, parameters, storable
from bridge.ingest.table import Body, Known, State, Table, TableConversation
from bridge.ingest.tracks import key_pressed
from bridge.model.stream import (
    Encoding,
    Leg,
    MarkReached,
    MediaChunk,
    MediaFormat,
    PlaybackHeld,
    StreamItem,
    StreamStarted,
)

SUBPROTOCOLS: Final = ("media",)

START: Final = "MEDIA_START"
WORDS: Final = "words"
"""The variant whose events come so, and commands go."""

SLIN_RATES: Final[Mapping[str, int]] = {
    "slin": 8000,
    "slin12": 12000,
    "slin16": 16000,
    "slin24": 24000,
    "slin32": 32000,
    "slin44": 44100,
    "slin48": 48000,
    "slin96": 96000,
    "slin192": 192000,
}
"""Signed linear in Asterisk's own byte order: little-endian on every common host."""

FORMATS: Final[Mapping[str, MediaFormat]] = {
    "ulaw": MediaFormat(encoding=Encoding.PCMU, sample_rate=8000),
    "alaw": MediaFormat(encoding=Encoding.PCMA, sample_rate=8000),
    "g722": MediaFormat(encoding=Encoding.G722, sample_rate=16000),
    "opus": MediaFormat(encoding=Encoding.OPUS, sample_rate=48000),
    **{name: MediaFormat(encoding=Encoding.L16_LE, sample_rate=rate) for name, rate in SLIN_RATES.items()},
}
"""By Asterisk's name."""
USUAL: Final = "ulaw"

OWN: Final = frozenset({"leg", "format"})
"""What the address says to us alone."""

FIELDS: Final = frozenset(
    {"connection_id", "channel", "channel_id", "format", "optimal_frame_size", "ptime", "digit", "correlation_id"}
)
"""Names of pairs in events written as words. What else has a colon in it is no pair."""

MOST_EARLY: Final = 150
"""Messages before MEDIA_START, 3 s of audio, and bytes of them: then the format that is expected is believed."""
MOST_EARLY_BYTES: Final = 512 * 1024


def _started(body: Body, known: Known) -> list[StreamItem]:
    """Channel variables come only in JSON. Those in capitals are Asterisk's own."""
    variables = parameters(body.get("channel_variables"))
    customers = {**known.query, **{name: value for name, value in variables.items() if not name.isupper()}}
    return [
        StreamStarted(
            carrier="asterisk",
            carrier_call_id=_text(body, "channel_id") or _text(body, "connection_id"),
            stream_id=_text(body, "connection_id"),
            legs=(leg_of(known.query),),
            media_format=format_of(_text(body, "format") or known.query.get("format", USUAL)),
            parameters={name: value for name, value in customers.items() if name not in OWN},
            variant="json" if "event" in body else WORDS,
        )
    ]


def _started_before(body: Body, known: Known) -> list[StreamItem]:
    """Audio came so long before that it was believed to be as expected."""
    expected, told = known.query.get("format", USUAL), _text(body, "format")
    if told and told != expected:
        raise UnsupportedMediaError(
            f"format {told!r}, told after audio was taken for {expected}: put it in the address"
        )
    return []


def _key(body: Body, known: Known) -> list[StreamItem]:
    return [key_pressed(leg_of(known.query), body.get("digit"))]


def _mark(body: Body, _known: Known) -> list[StreamItem]:
    """One without a name was no mark of ours."""
    name = _text(body, "correlation_id")
    return [MarkReached(name=name)] if name else []


def _held(_body: Body, _known: Known) -> list[StreamItem]:
    return [PlaybackHeld(held=True)]


def _released(_body: Body, _known: Known) -> list[StreamItem]:
    return [PlaybackHeld(held=False)]


def leg_of(query: Mapping[str, str]) -> Leg:
    """Whose voice the channel carries, as the address says. Raises CarrierProtocolError."""
    try:
        return Leg(query.get("leg", Leg.CALLER))
    except ValueError:
        raise CarrierProtocolError(f"leg {ascii(query['leg'])[:64]}; {', '.join(Leg)} are understood") from None


def format_of(name: str) -> MediaFormat:
    """Raises UnsupportedMediaError."""
    if name not in FORMATS:
        raise UnsupportedMediaError(f"format {ascii(name)[:64]}; {', '.join(FORMATS)} are understood")
    return FORMATS[name]


def _text(body: Mapping[str, Any], name: str) -> str:
    """Empty for what is no text, or too long to be an id."""
    found = body.get(name)
    return storable(found) if isinstance(found, str) and len(found) <= MAX_IDENTIFIER else ""


def event_of(text: str) -> tuple[str, Body]:
    """The event's name and its fields, however it is written. Raises CarrierProtocolError for JSON that is none."""
    if text.lstrip().startswith("{"):
        body = json_object(text)
        kind = body.get("event")
        if not isinstance(kind, str):
            raise CarrierProtocolError("a message without 'event'")
        return kind, body
    kind, *words = text.split() or [""]
    fields: Body = {}
    for word in words:
        name, colon, value = word.partition(":")
        if colon and name in FIELDS:
            fields[name] = value
        else:
            fields.setdefault("correlation_id", word)
    return kind, fields


class AsteriskStream(TableConversation):
    """One channel's socket."""

    TABLE: ClassVar[Table] = {
        (State.NEW, START): (_started, State.STREAMING),
        (State.NEW, "DTMF_END"): (_key, State.NEW),
        (State.STREAMING, START): (_started_before, State.STREAMING),
        (State.STREAMING, "DTMF_END"): (_key, State.STREAMING),
        (State.STREAMING, "MEDIA_MARK_PROCESSED"): (_mark, State.STREAMING),
        (State.STREAMING, "MEDIA_XOFF"): (_held, State.STREAMING),
        (State.STREAMING, "MEDIA_XON"): (_released, State.STREAMING),
    }

    def __init__(self, query: Mapping[str, str] | None = None) -> None:
        super().__init__(query)
        self._early: tuple[StreamItem, ...] = ()
        """What came before the start."""
        self._early_bytes = 0

    def receive(self, message: str | bytes) -> list[StreamItem]:
        """Audio is binary, all else text. Raises CarrierProtocolError and UnsupportedMediaError."""
        started = self.state is not State.NEW
        if started:
            return self._said(message)
        if isinstance(message, bytes) and self._is_full(len(message)):
            return self._begin([*self.read(START, {}), *self._early, *self._said(message)])
        items = self._said(message)
        if self.state is State.STREAMING:
            return self._begin([*items, *self._early])
        self._early += tuple(items)
        self._early_bytes += len(message)
        return []

    def _said(self, message: str | bytes) -> list[StreamItem]:
        if isinstance(message, str):
            return self.read(*event_of(message))
        return [MediaChunk(leg=leg_of(self.known.query), payload=message)]

    def _begin(self, items: list[StreamItem]) -> list[StreamItem]:
        self._early = ()
        return items

    def _is_full(self, more: int) -> bool:
        return len(self._early) >= MOST_EARLY or self._early_bytes + more > MOST_EARLY_BYTES
