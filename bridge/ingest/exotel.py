"""Exotel Stream and Voicebot applets: JSON text, every value a string, base64 L16 little-endian (or μ-law, in beta).

developer.exotel.com/docs/agentstream. The caller is heard; only the beta names a track.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from bridge.errors import CarrierProtocolError
from bridge.ingest.fields import identifier, parameters, part
from bridge.ingest.formats import media_format
from bridge.ingest.messages import dtmf, mark, media, nothing
from bridge.ingest.table import Body, Known, State, Table, TableConversation, once_started
from bridge.ingest.tracks import BOTH_TRACKS, LEGS, announced_legs
from bridge.model.stream import Leg, MediaFormat, StreamItem, StreamStarted

RAW: Final = frozenset({"audio/x-raw", "raw/slin", "base64"})
"""Names that Exotel's documents have for L16, little-endian."""

SAMPLE_RATE: Final = "sample-rate"
"""Of the stream's address: it chooses the rate, and is no parameter of the customer's."""


def _started(body: Body, known: Known) -> list[StreamItem]:
    start = part(body, "start")
    given = {**known.query, **parameters(_either(start, "custom_parameters", "customParameters"))}
    asked = given.pop(SAMPLE_RATE, "8000")
    return [
        StreamStarted(
            carrier="exotel",
            carrier_call_id=_identifier(start, "call_sid", "callSid"),
            stream_id=_identifier({**body, **start}, "stream_sid", "streamSid"),
            legs=_legs(start),
            media_format=_format(_either(start, "media_format", "mediaFormat"), asked),
            parameters=given,
        )
    ]


def _media(body: Body, known: Known) -> list[StreamItem]:
    """Other tracks than the announced are left out: the beta names them in `media` alone, and the caller is wanted."""
    track = part(body, "media").get("track")
    unwanted = isinstance(track, str) and track in LEGS and LEGS[track] not in known.legs
    return [] if unwanted else media(body, known)


def _legs(start: Body) -> tuple[Leg, ...]:
    """The caller, unless the beta announces other tracks."""
    tracks = start.get("tracks", start.get("track"))
    if tracks is None:
        return (Leg.CALLER,)
    if tracks == "both":
        return announced_legs(BOTH_TRACKS)
    return announced_legs(tracks if isinstance(tracks, list) else [tracks])


def _format(announced: object, asked: str) -> MediaFormat:
    """`start.media_format`; L16, and the rate that the address asked for, where they are left out."""
    if announced is None:
        return media_format("audio/x-l16", asked)
    if not isinstance(announced, dict):
        raise CarrierProtocolError("a media format that is no object")
    encoding = announced.get("encoding")
    if isinstance(encoding, str):
        bare = encoding.partition(";")[0].strip().lower()
        encoding = "audio/x-l16" if bare in RAW else "mulaw" if "mulaw" in bare else bare
    rate = _either(announced, "sample_rate", "sampleRate")
    return media_format(encoding, asked if rate is None else rate)


def _either(body: Mapping[str, Any], name: str, also: str) -> Any:
    """Bridges between Exotel and us have been seen to change the spelling."""
    return body.get(name, body.get(also))


def _identifier(body: Mapping[str, Any], name: str, also: str) -> str:
    return identifier(body, also if name not in body and also in body else name)


class ExotelStream(TableConversation):
    """One Exotel stream."""

    TABLE: ClassVar[Table] = {
        (State.NEW, "connected"): (nothing, State.CONNECTED),
        (State.CONNECTED, "start"): (_started, State.STREAMING),
        **once_started({"media": _media, "dtmf": dtmf, "mark": mark}),
    }
