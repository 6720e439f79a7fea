"""Twilio Media Streams: JSON text, one track a message, base64 μ-law at 8 kHz (twilio.com/docs/voice/media-streams)."""

from __future__ import annotations

from typing import ClassVar

from bridge.ingest.fields import identifier, parameters, part
from bridge.ingest.formats import announced_format
from bridge.ingest.messages import dtmf, mark, media, nothing
from bridge.ingest.table import Body, Known, State, Table, TableConversation, once_started
from bridge.ingest.tracks import announced_legs
from bridge.model.stream import StreamItem, StreamStarted


def _started(body: Body, _known: Known) -> list[StreamItem]:
    start = part(body, "start")
    return [
        StreamStarted(
            carrier="twilio",
            carrier_call_id=identifier(start, "callSid"),
            stream_id=identifier({**body, **start}, "streamSid"),  # stands in both places; either will do
            legs=announced_legs(start.get("tracks")),
            media_format=announced_format(start, "mediaFormat"),
            parameters=parameters(start.get("customParameters")),
        )
    ]


class TwilioStream(TableConversation):
    """One Twilio media stream."""

    TABLE: ClassVar[Table] = {
        (State.NEW, "connected"): (nothing, State.CONNECTED),
        (State.CONNECTED, "start"): (_started, State.STREAMING),
        **once_started({"media": media, "dtmf": dtmf, "mark": mark}),
    }
