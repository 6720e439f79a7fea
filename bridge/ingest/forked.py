"""What FreeSWITCH's audio modules, jambonz, which is built on one of them, and bare sockets have in common.

A text may come first and say what the socket is for; then L16 little-endian as binary messages of any length, one
channel or two interleaved (left the caller, right the far party); then more text, which applications write. There is
neither a count nor a time. Sources: the mod_audio_fork and mod_audio_stream modules (drachtio, jambonz, amigniter).
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final

from bridge.errors import CarrierProtocolError, UnsupportedMediaError
from bridge.ingest.fields import MAX_IDENTIFIER, identifier, json_object, parameters, part, whole
from bridge.ingest.interleaved import apart
from bridge.ingest.table import Body, Known, State, Table, TableConversation, once_started
from bridge.ingest.tracks import key_pressed
from bridge.model.stream import (
    Encoding,
    Leg,
    MarkReached,
    MediaChunk,
    MediaFormat,
    StreamItem,
    StreamStarted,
    StreamStopped,
)

SUBPROTOCOLS: Final = ("audio.drachtio.org", "audio.jambonz.org")
"""What mod_audio_fork offers; its environment chooses one."""

LEGS: Final[Mapping[str, tuple[Leg, ...]]] = {
    "mono": (Leg.CALLER,),
    "mixed": (Leg.MIXED,),
    "stereo": (Leg.CALLER, Leg.AGENT),
}
"""By mix type."""

RATE: Final = ("sampleRate", "sample_rate", "sample-rate", "rate")
MIX: Final = ("mixType", "mix_type", "mix-type", "mix")
"""Names under which the rate and the mix type are looked for, in the first text and in the address."""
USUAL_RATE: Final = 8000
USUAL_MIX: Final = "mono"
RATE_STEP: Final = 8000
"""The modules take multiples of it."""
HIGHEST_RATE: Final = 192_000

THOUSANDS: Final = re.compile(r"(\d{1,3})k", re.IGNORECASE)
"""`16k`, as the modules' commands have it."""

PAIR: Final = re.compile(r'"([^"\\]+)"\s*:\s*("(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?|true|false)')
"""One field of a JSON object, if its value is plain."""


def scalars_of(text: str) -> dict[str, Any] | None:
    """The first text as an object; of one that is cut off, or wrongly escaped on its way, the fields that are whole.

    Both happen: FreeSWITCH cuts at 8192 bytes, and its command line eats a level of backslashes. None for other text.
    """
    try:
        return json_object(text)
    except CarrierProtocolError:
        if not text.lstrip().startswith("{"):
            return None
    found: dict[str, Any] = {}
    for name, value in PAIR.findall(text):
        found.setdefault(name, _plain(value))
    return found


def _plain(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:  # an escape that JSON does not have
        return value[1:-1]


def first_of(given: Mapping[str, str], names: tuple[str, ...], otherwise: str = "") -> str:
    """The value of the first of `names` that is there and short enough to be an id."""
    return next((given[name] for name in names if 0 < len(given.get(name, "")) <= MAX_IDENTIFIER), otherwise)


def format_of(given: Mapping[str, str]) -> MediaFormat:
    """Raises UnsupportedMediaError for a rate that the modules do not have."""
    asked = first_of(given, RATE, str(USUAL_RATE))
    thousands = THOUSANDS.fullmatch(asked)
    rate = 1000 * int(thousands[1]) if thousands else whole(asked)
    if not rate or rate % RATE_STEP or rate > HIGHEST_RATE:
        raise UnsupportedMediaError(f"L16 at {ascii(asked)[:64]} Hz; multiples of {RATE_STEP} are understood")
    return MediaFormat(encoding=Encoding.L16_LE, sample_rate=rate)


def legs_of(given: Mapping[str, str]) -> tuple[Leg, ...]:
    """Raises UnsupportedMediaError for a mix type that the modules do not have."""
    mix = first_of(given, MIX, USUAL_MIX)
    if mix not in LEGS:
        raise UnsupportedMediaError(f"mix type {ascii(mix)[:64]}; {', '.join(LEGS)} are understood")
    return LEGS[mix]


def _dtmf(body: Body, known: Known) -> list[StreamItem]:
    """`{"event": "dtmf", "dtmf": "5"}`, as jambonz writes it; `digit`, in an object or not, is as good."""
    said = body.get("dtmf", body)
    return [key_pressed(known.legs[0], said.get("digit") if isinstance(said, dict) else said)]


def _mark(body: Body, _known: Known) -> list[StreamItem]:
    """`{"type": "mark", "data": {"name", "event": "playout" | "cleared"}}`."""
    return [MarkReached(name=identifier(part(body, "data"), "name"))]


def _played(body: Body, _known: Known) -> list[StreamItem]:
    """`{"type": "playDone", "data": {"id"}}`."""
    return [MarkReached(name=identifier(part(body, "data"), "id"))]


class ForkedStream(TableConversation, ABC):
    """One forked stream. A dialect is a subclass that reads what begins it."""

    TABLE: ClassVar[Table] = once_started({"dtmf": _dtmf, "mark": _mark, "playDone": _played})

    def __init__(self, query: Mapping[str, str] | None = None) -> None:
        super().__init__(query)
        self._turn = b""
        """The beginning of two samples whose end has yet to come."""

    def receive(self, message: str | bytes) -> list[StreamItem]:
        """Raises CarrierProtocolError and UnsupportedMediaError; state and output are then unchanged."""
        if isinstance(message, bytes):
            return self._audio(message)
        if self.state is State.NEW:
            return [self._begin(self._started(message))]
        try:
            body = json_object(message)
        except CarrierProtocolError:
            return []  # an application may write what it likes
        kind = body.get("event", body.get("type"))
        return self.read(kind, body) if isinstance(kind, str) else []

    @abstractmethod
    def _started(self, text: str) -> StreamStarted:
        """What the first text says."""

    def _unannounced(self) -> StreamStarted:
        """What is known of a stream that begins with audio."""
        raise CarrierProtocolError("audio while NEW")

    def _begin(self, started: StreamStarted) -> StreamStarted:
        self.state = State.STREAMING
        self.known = replace(self.known, legs=started.legs)
        return started

    def _audio(self, payload: bytes) -> list[StreamItem]:
        items: list[StreamItem] = [self._begin(self._unannounced())] if self.state is State.NEW else []
        if payload:
            return [*items, *self._chunks(payload)]
        if self.state is State.STREAMING:  # "graceful shutdown": no more audio comes, tell what you have
            self.state = State.STOPPED
            items.append(StreamStopped())
        return items

    def _chunks(self, payload: bytes) -> list[StreamItem]:
        legs = self.known.legs
        if len(legs) == 1:
            return [MediaChunk(leg=legs[0], payload=payload)]
        channels, self._turn = apart(self._turn + payload, len(legs))
        return [MediaChunk(leg=leg, payload=channel) for leg, channel in zip(legs, channels, strict=True) if channel]


def customers(given: Mapping[str, Any], own: frozenset[str]) -> dict[str, str]:
    """What is left for the customer once the carrier's `own` fields, the rate and the mix type are taken away."""
    return {name: value for name, value in parameters(dict(given)).items() if name not in {*own, *RATE, *MIX}}
