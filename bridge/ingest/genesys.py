"""Genesys Cloud AudioHook, protocol version 2: numbered JSON that is answered, and raw audio, its channels interleaved.

developer.genesys.cloud/devapps/audiohook; purecloudlabs/audiohook-reference-implementation. Each side counts its texts
from 1 and says how far it has heard the other; binary messages are not counted. Audio has no times of its own: it is
counted, and `position` says where it goes on after a pause.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from bridge.errors import (
    BridgeError,
    CarrierAuthError,
    CarrierProtocolError,
    ForbiddenError,
    UnauthorisedError,
    UnsupportedMediaError,
)
from bridge.ingest.conversation import Handshake
from bridge.ingest.fields import identifier, json_object, parameters, part, whole
from bridge.ingest.genesys_signature import ORGANIZATION, SESSION
from bridge.ingest.interleaved import apart
from bridge.ingest.messages import nothing
from bridge.ingest.table import Body, Known, State, Table, TableConversation
from bridge.ingest.tracks import key_pressed
from bridge.model.stream import (
    Discarded,
    Encoding,
    Leg,
    MediaChunk,
    MediaFormat,
    StreamItem,
    StreamStarted,
    StreamStopped,
)

VERSION: Final = "2"

CHANNELS: Final[Mapping[object, Leg]] = {"external": Leg.CALLER, "internal": Leg.AGENT}
"""The customer, and who serves them."""

ENCODINGS: Final[Mapping[object, tuple[Encoding, int]]] = {"PCMU": (Encoding.PCMU, 1), "L16": (Encoding.L16_LE, 2)}
"""By format: what it is, and the bytes of a sample."""
RATE: Final = 8000

PROBE: Final = "00000000-0000-0000-0000-000000000000"
"""The conversation of a trial connection, with which Genesys finds out whether an integration works: no call."""

DURATION: Final = re.compile(r"PT(\d{0,9}(?:\.\d{1,9})?)S")

ANSWERS: Final[Mapping[str, str]] = {"open": "opened", "ping": "pong", "update": "updated", "close": "closed"}
"""What each message has to be answered with, in its turn."""

LEFT_OUT: Final[Mapping[str, str]] = {"resumed": "paused", "discarded": "discarded"}
"""What may say that audio is missing before the next, and as what that is told."""

LONGEST_INFO: Final = 200
"""Characters of what is told people on the other side."""


def _open(body: Body, known: Known) -> list[StreamItem]:
    said = part(body, "parameters")
    conversation = identifier(said, "conversationId")
    legs, media_format, _ = chosen_media(said)
    if conversation == PROBE:
        return []
    language = {"language": said["language"]} if isinstance(said.get("language"), str) else {}
    return [
        StreamStarted(
            carrier="genesys",
            carrier_call_id=conversation,
            stream_id=identifier(body, "id"),
            legs=legs,
            media_format=media_format,
            parameters={**parameters(language), **known.query, **parameters(said.get("customConfig"))},
        )
    ]


def _dtmf(body: Body, known: Known) -> list[StreamItem]:
    """Of the Audio Connector, which speaks the same."""
    return [key_pressed(leg, part(body, "parameters").get("digit")) for leg in known.legs[:1]]


def _close(_body: Body, known: Known) -> list[StreamItem]:
    return [StreamStopped()] if known.legs else []


def chosen_media(said: Mapping[str, Any]) -> tuple[tuple[Leg, ...], MediaFormat, dict[str, Any]]:
    """The one of the offered media that says most: legs, format, and the offer itself, to be sent back as it is.

    Raises UnsupportedMediaError when none is understood.
    """
    offers = said.get("media")
    known = [
        (legs, ENCODINGS[offer["format"]], offer)
        for offer in (offers if isinstance(offers, list) else [])
        if isinstance(offer, dict) and whole(offer.get("rate")) == RATE and _name(offer.get("format")) in ENCODINGS
        if (legs := _legs(offer.get("channels")))
    ]
    if not known:
        raise UnsupportedMediaError(f"no offer of PCMU or L16 at {RATE} Hz with the channels external and internal")
    legs, (encoding, _), offer = max(known, key=lambda found: len(found[0]))  # the first, of equals
    return legs, MediaFormat(encoding=encoding, sample_rate=RATE), offer


def _name(value: object) -> str:
    return value if isinstance(value, str) else ""


def _legs(channels: object) -> tuple[Leg, ...]:
    """Empty for channels that are not understood."""
    names = [_name(name) for name in channels] if isinstance(channels, list) else []
    legs = tuple(CHANNELS[name] for name in names if name in CHANNELS)
    return legs if len(legs) == len(names) == len(set(legs)) else ()


def duration_ms(text: object) -> float:
    """`PT1.5S`. Raises CarrierProtocolError."""
    found = DURATION.fullmatch(text) if isinstance(text, str) else None
    if found is None or not found[1]:
        raise CarrierProtocolError(f"{ascii(text)[:64]} is no duration")
    return float(found[1]) * 1000


class GenesysStream(TableConversation):
    """One AudioHook session. A trial connection is answered like any, and says nothing to us."""

    KIND = "type"
    TABLE: ClassVar[Table] = {
        (State.NEW, "open"): (_open, State.STREAMING),
        (State.NEW, "close"): (nothing, State.STOPPED),
        **{
            (State.STREAMING, kind): (nothing, State.STREAMING)
            for kind in ("ping", "update", "paused", "resumed", "discarded", "playback_started", "playback_completed")
        },
        (State.STREAMING, "dtmf"): (_dtmf, State.STREAMING),
        (State.STREAMING, "close"): (_close, State.STOPPED),
    }

    def __init__(self, handshake: Handshake) -> None:
        super().__init__(handshake.query)
        self._session = handshake.headers.get(SESSION, "")
        self._organization = handshake.headers.get(ORGANIZATION, "")
        self._heard = 0
        """The number of the last text that came."""
        self._said = 0
        """The number of the last one that was sent."""
        self._left = False
        self._sample_bytes = 1
        self._turn = b""
        """The beginning of samples whose end has yet to come."""
        self._position_ms = 0.0
        """Behind the last sample that came."""

    def receive(self, message: str | bytes) -> list[StreamItem]:
        """Audio is binary, all else text. Raises CarrierError; state and output are then unchanged."""
        if isinstance(message, bytes):
            return self._audio(message)
        body = json_object(message)
        number = self._number(body)
        kind = identifier(body, self.KIND)
        gap_ms = self._left_out_ms(body) if kind in LEFT_OUT else 0.0
        items = self.read(kind, body)
        self._heard = number
        self._session = identifier(body, "id")
        if kind == "open":
            self._sample_bytes = ENCODINGS[chosen_media(part(body, "parameters"))[2]["format"]][1]
        if kind in ANSWERS:
            self._answer(kind, body)
        if gap_ms > 0:
            self._position_ms += gap_ms
            items += [Discarded(leg=leg, missing_ms=gap_ms, reason=LEFT_OUT[kind]) for leg in self.known.legs]
        return items

    def leave(self, fault: BridgeError | None) -> bool:
        """`disconnect`; the client then sends `close`, is answered, and closes the socket."""
        if self._left or self.state is State.STOPPED or not self._session:
            return False
        self._left = True
        said = {"reason": _reason(fault)}
        self._tell("disconnect", said if fault is None else {**said, "info": fault.message[:LONGEST_INFO]})
        return True

    def _number(self, body: Body) -> int:
        """The message's own. Raises CarrierProtocolError for one of another session, or out of order."""
        if body.get("version") != VERSION:
            raise CarrierProtocolError(
                f"version {ascii(body.get('version'))[:16]} of the protocol; {VERSION} is spoken"
            )
        if self._session not in {"", identifier(body, "id")}:
            raise CarrierProtocolError("a message of another session")
        number = whole(body.get("seq"))
        if number is None or not (number == self._heard + 1 or (self._left and number > self._heard)):
            raise CarrierProtocolError(f"message {ascii(body.get('seq'))[:16]}, where {self._heard + 1} was due")
        return number

    def read(self, kind: str, body: Body) -> list[StreamItem]:
        """As in all dialects; a session is also of the organization that its upgrade was of."""
        if kind == "open" and self._organization:
            organization = part(body, "parameters").get("organizationId")
            if organization != self._organization:
                raise CarrierAuthError("the session is of another organization than its upgrade")
        return super().read(kind, body)

    def _audio(self, payload: bytes) -> list[StreamItem]:
        if self.state is State.NEW:
            raise CarrierProtocolError("audio while NEW")
        legs = self.known.legs
        if not legs:
            return []
        channels, self._turn = apart(self._turn + payload, len(legs), self._sample_bytes)
        self._position_ms += len(channels[0]) / self._sample_bytes / RATE * 1000
        return [MediaChunk(leg=leg, payload=channel) for leg, channel in zip(legs, channels, strict=True) if channel]

    def _left_out_ms(self, body: Body) -> float:
        """How much is missing before the next sample, by `position`: in what they call `discarded`, clients differ."""
        return duration_ms(body.get("position")) - self._position_ms

    def _answer(self, kind: str, body: Body) -> None:
        answer: dict[str, Any] = {}
        if kind == "open":
            answer = {"startPaused": False, "media": [chosen_media(part(body, "parameters"))[2]]}
        self._tell(ANSWERS[kind], answer)

    def _tell(self, kind: str, said: Mapping[str, Any]) -> None:
        """`parameters` are there even where they are empty: a message without them is not counted."""
        self._said += 1
        envelope = {"version": VERSION, "id": self._session, "type": kind, "seq": self._said, "clientseq": self._heard}
        self.say(json.dumps({**envelope, "parameters": said}))


def _reason(fault: BridgeError | None) -> str:
    if fault is None:
        return "completed"
    return "unauthorized" if isinstance(fault, CarrierAuthError | UnauthorisedError | ForbiddenError) else "error"
