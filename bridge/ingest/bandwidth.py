"""Bandwidth `<StartStream>`: JSON text, base64 μ-law, the payload at the top of its message.

dev.bandwidth.com/docs/voice/bxml/startStream. No keys are told on the socket, and no times.
"""

from __future__ import annotations

from typing import Any, ClassVar

from bridge.errors import CarrierProtocolError, UnsupportedMediaError
from bridge.ingest.fields import base64_bytes, identifier, parameters, part, whole
from bridge.ingest.formats import announced_format
from bridge.ingest.table import Body, Known, State, Table, TableConversation, once_started
from bridge.ingest.tracks import announced_legs, leg_of
from bridge.model.stream import MediaChunk, MediaFormat, StreamItem, StreamStarted


def _started(body: Body, known: Known) -> list[StreamItem]:
    metadata = part(body, "metadata")
    tracks = metadata.get("tracks") or ["inbound"]
    if not isinstance(tracks, list):
        raise CarrierProtocolError("'start' whose tracks are no list")
    return [
        StreamStarted(
            carrier="bandwidth",
            carrier_call_id=identifier(metadata, "callId"),
            stream_id=identifier(metadata, "streamId"),
            legs=announced_legs([track.get("name") if isinstance(track, dict) else track for track in tracks]),
            media_format=_format(tracks),
            parameters={**known.query, **parameters(body.get("streamParams", metadata.get("streamParams")))},
        )
    ]


def _media(body: Body, known: Known) -> list[StreamItem]:
    """Whether both tracks share one count is not written down, so it counts only where there is but one track."""
    return [
        MediaChunk(
            leg=leg_of(body, known.legs),
            payload=base64_bytes(body.get("payload")),
            sequence=whole(body.get("sequenceNumber")) if len(known.legs) == 1 else None,
        )
    ]


def _format(tracks: list[Any]) -> MediaFormat:
    """What all tracks have. Raises UnsupportedMediaError when they differ."""
    formats = {_track_format(track) for track in tracks}
    if len(formats) != 1:
        raise UnsupportedMediaError("tracks of different formats in one stream")
    return formats.pop()


def _track_format(track: Any) -> MediaFormat:
    return announced_format(track if isinstance(track, dict) else {}, "mediaFormat")


class BandwidthStream(TableConversation):
    """One Bandwidth media stream."""

    KIND: ClassVar[str] = "eventType"
    TABLE: ClassVar[Table] = {
        (State.NEW, "start"): (_started, State.STREAMING),
        **once_started({"media": _media}),
    }
