"""Messages that many dialects spell alike, as Twilio first wrote them: `media`, `dtmf`, `mark`, `stop`."""

from __future__ import annotations

from bridge.ingest.fields import base64_bytes, identifier, number, part, whole
from bridge.ingest.table import Body, Known
from bridge.ingest.tracks import key_pressed, leg_of
from bridge.model.stream import MarkReached, MediaChunk, StreamItem


def media(body: Body, known: Known) -> list[StreamItem]:
    """`media`: { `track`, `chunk` counted by track, `timestamp` in ms, `payload` }."""
    said = part(body, "media")
    return [
        MediaChunk(
            leg=leg_of(said, known.legs),
            payload=base64_bytes(said.get("payload")),
            sequence=whole(said.get("chunk")),
            timestamp_ms=number(said.get("timestamp")),
        )
    ]


def dtmf(body: Body, known: Known) -> list[StreamItem]:
    """`dtmf`: { `track`, `digit` }."""
    said = part(body, "dtmf")
    return [key_pressed(leg_of(said, known.legs), said.get("digit"))]


def mark(body: Body, _known: Known) -> list[StreamItem]:
    """`mark`: { `name` }."""
    return [MarkReached(name=identifier(part(body, "mark"), "name"))]


def nothing(_body: Body, _known: Known) -> list[StreamItem]:
    """Expected, and says nothing to us."""
    return []
