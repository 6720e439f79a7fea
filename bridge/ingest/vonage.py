"""Vonage Voice API WebSockets: binary L16, little-endian, one message a 20 ms packet; events as JSON text.

developer.vonage.com/en/voice/voice-api/concepts/websockets. The socket is a participant: it hears the mix of all
others, and the call is over when it closes. There is no `stop`, no timestamp and no count.
"""

from __future__ import annotations

import re
from typing import ClassVar, Final

from bridge.errors import CarrierProtocolError, UnsupportedMediaError
from bridge.ingest.fields import MAX_IDENTIFIER, parameters, storable
from bridge.ingest.formats import media_format
from bridge.ingest.messages import nothing
from bridge.ingest.table import Body, Known, State, Table, TableConversation
from bridge.ingest.tracks import key_pressed
from bridge.model.stream import Leg, MarkReached, MediaChunk, MediaFormat, StreamItem, StreamStarted

LEGS: Final = (Leg.MIXED,)

CONTENT_TYPE: Final = re.compile(r"(audio/[\w-]+)\s*;\s*rate=(\d{1,6})", re.IGNORECASE)

OWN: Final = frozenset({"event", "content-type"})
"""Fields of `websocket:connected` that are Vonage's; all others are the customer's headers."""

CALL_ID: Final = ("carrier_call_id", "uuid", "call_uuid", "conversation_uuid")
"""Headers in which a customer may have put the call's id: Vonage does not send it."""


def _connected(body: Body, known: Known) -> list[StreamItem]:
    headers = body.get("headers")
    given = {**known.query, **parameters({**body, **(headers if isinstance(headers, dict) else {})})}
    return [
        StreamStarted(
            carrier="vonage",
            carrier_call_id=next(
                (given[name] for name in CALL_ID if 0 < len(given.get(name, "")) <= MAX_IDENTIFIER), ""
            ),
            stream_id="",
            legs=LEGS,
            media_format=_format(body.get("content-type")),
            parameters={name: value for name, value in given.items() if name not in {*OWN, *CALL_ID}},
        )
    ]


def _dtmf(body: Body, _known: Known) -> list[StreamItem]:
    dtmf = body.get("dtmf")  # some builds nest it
    return [key_pressed(Leg.MIXED, (dtmf if isinstance(dtmf, dict) else body).get("digit"))]


def _notified(body: Body, _known: Known) -> list[StreamItem]:
    """What was played up to a `notify` of ours, whose payload comes back; another's says nothing to us."""
    payload = body.get("payload")
    name = payload.get("id") if isinstance(payload, dict) else None
    return [MarkReached(name=storable(name))] if isinstance(name, str) and 0 < len(name) <= MAX_IDENTIFIER else []


def _format(content_type: object) -> MediaFormat:
    found = CONTENT_TYPE.fullmatch(content_type.strip()) if isinstance(content_type, str) else None
    if found is None:
        raise UnsupportedMediaError(f"content-type {ascii(content_type)[:64]}; audio/l16;rate=16000 is understood")
    return media_format(found[1], found[2])


class VonageStream(TableConversation):
    """One Vonage WebSocket."""

    TABLE: ClassVar[Table] = {
        (State.NEW, "websocket:connected"): (_connected, State.STREAMING),
        (State.STREAMING, "websocket:dtmf"): (_dtmf, State.STREAMING),
        (State.STREAMING, "websocket:notify"): (_notified, State.STREAMING),
        (State.STREAMING, "websocket:cleared"): (nothing, State.STREAMING),
    }

    def receive(self, message: str | bytes) -> list[StreamItem]:
        """Audio is binary, all else text. Raises CarrierProtocolError and UnsupportedMediaError."""
        if isinstance(message, str):
            return super().receive(message)
        if self.state is not State.STREAMING:
            raise CarrierProtocolError("audio while NEW")
        return [MediaChunk(leg=Leg.MIXED, payload=message)]
