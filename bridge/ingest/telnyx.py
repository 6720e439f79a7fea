"""Telnyx media streaming: JSON text, one track a message, the payload of an RTP packet in base64.

developers.telnyx.com/docs/voice/programmable-voice/media-streaming. What is heard has the codec of the call, which
`start` announces; the codec for talking back is another thing. The order of messages is not guaranteed.
"""

from __future__ import annotations

from typing import Any, ClassVar

from bridge.ingest.fields import identifier, parameters, part
from bridge.ingest.formats import announced_format, l16_of
from bridge.ingest.messages import dtmf, mark, media, nothing
from bridge.ingest.table import Body, Known, State, Table, TableConversation, once_started
from bridge.ingest.tracks import BOTH_TRACKS, LEGS, announced_legs
from bridge.model.stream import Leg, StreamItem, StreamStarted


def _started(body: Body, known: Known) -> list[StreamItem]:
    start = part(body, "start")
    given = {**known.query, **_custom(start.get("custom_parameters"))}
    legs = _legs(given.pop("track", ""))
    return [
        StreamStarted(
            carrier="telnyx",
            carrier_call_id=identifier(start, "call_control_id"),
            stream_id=identifier({**start, **body}, "stream_id"),
            legs=legs,
            media_format=announced_format(start, "media_format", rate="sample_rate", l16=l16_of(given)),
            parameters=given,
        )
    ]


def _legs(track: str) -> tuple[Leg, ...]:
    """`start` does not say which tracks come: both may, unless the customer's `track` names one."""
    return announced_legs([track] if track in LEGS else BOTH_TRACKS)


def _custom(found: Any) -> dict[str, str]:
    """`custom_parameters`, a list of names and values where they are set, or an object where Telnyx makes it one."""
    if isinstance(found, list):
        found = {
            each["name"]: each.get("value")
            for each in found
            if isinstance(each, dict) and isinstance(each.get("name"), str)
        }
    return parameters(found)


class TelnyxStream(TableConversation):
    """One Telnyx media stream."""

    TABLE: ClassVar[Table] = {
        (State.NEW, "connected"): (nothing, State.CONNECTED),
        (State.NEW, "start"): (_started, State.STREAMING),
        (State.CONNECTED, "start"): (_started, State.STREAMING),
        (State.STREAMING, "connected"): (nothing, State.STREAMING),
        # Audio that overtakes its start cannot be decoded yet; it is some 20 ms.
        (State.NEW, "media"): (nothing, State.NEW),
        (State.CONNECTED, "media"): (nothing, State.CONNECTED),
        **once_started({"media": media, "dtmf": dtmf, "mark": mark}),
    }
