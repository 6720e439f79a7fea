"""SignalWire cXML and SWML streams: Twilio's messages with fewer fields, and L16 beside μ-law.

signalwire.com/docs/compatibility-api/cxml/voice/stream. `media` may come without `streamSid`, `stop` without a body,
`dtmf` without a track; all of them are optional to the readers that they share with Twilio.
"""

from __future__ import annotations

from typing import ClassVar

from bridge.ingest.fields import identifier, parameters, part
from bridge.ingest.formats import announced_format, l16_of
from bridge.ingest.messages import dtmf, mark, media, nothing
from bridge.ingest.table import Body, Known, State, Table, TableConversation, once_started
from bridge.ingest.tracks import announced_legs
from bridge.model.stream import StreamItem, StreamStarted


def _started(body: Body, _known: Known) -> list[StreamItem]:
    start = part(body, "start")
    given = parameters(start.get("customParameters"))
    return [
        StreamStarted(
            carrier="signalwire",
            carrier_call_id=identifier(start, "callSid"),
            stream_id=identifier({**body, **start}, "streamSid"),
            legs=announced_legs(start.get("tracks")),
            media_format=announced_format(start, "mediaFormat", l16=l16_of(given)),
            parameters=given,
        )
    ]


class SignalWireStream(TableConversation):
    """One SignalWire media stream."""

    TABLE: ClassVar[Table] = {
        (State.NEW, "connected"): (nothing, State.CONNECTED),
        (State.CONNECTED, "start"): (_started, State.STREAMING),
        **once_started({"media": media, "dtmf": dtmf, "mark": mark}),
    }
