"""Plivo audio streaming: JSON text without `connected`, base64 μ-law or L16 (docs.plivo.com, XML `<Stream>`)."""

from __future__ import annotations

import json
import re
from typing import ClassVar, Final

from bridge.ingest.fields import identifier, parameters, part
from bridge.ingest.formats import l16_of, media_format
from bridge.ingest.messages import dtmf, media
from bridge.ingest.table import Body, Known, State, Table, TableConversation, once_started
from bridge.ingest.tracks import announced_legs
from bridge.model.stream import MarkReached, StreamItem, StreamStarted

PAIR: Final = re.compile(r"([^=:;,{}\s][^=:;,{}]*)[=:]([^;,{}]*)")
"""Of `extra_headers`: `k=v;k2=v2`, `k=v,k2=v2` and `{X-PH-k: v}` have all been seen."""
PREFIX: Final = "x-ph-"
"""What Plivo may put before the names of custom headers."""


def _started(body: Body, known: Known) -> list[StreamItem]:
    start = part(body, "start")
    announced = part(start, "mediaFormat")
    given = {**known.query, **_extra_headers(body.get("extra_headers", start.get("extra_headers")))}
    return [
        StreamStarted(
            carrier="plivo",
            carrier_call_id=identifier(start, "callId"),
            stream_id=identifier({**body, **start}, "streamId"),
            legs=announced_legs(start.get("tracks"), otherwise=["inbound"]),
            media_format=media_format(announced.get("encoding"), announced.get("sampleRate"), l16=l16_of(given)),
            parameters=given,
        )
    ]


def _played(body: Body, _known: Known) -> list[StreamItem]:
    return [MarkReached(name=identifier(body, "name"))]


def _extra_headers(found: object) -> dict[str, str]:
    """The customer's headers, however they are written; what cannot be read is left out."""
    if isinstance(found, str):
        try:
            found = json.loads(found)
        except (ValueError, RecursionError):
            found = dict(PAIR.findall(found)) if isinstance(found, str) else None
    given = parameters(found)
    return {_bare(name): value.strip() for name, value in given.items()}


def _bare(name: str) -> str:
    name = name.strip()
    return name[len(PREFIX) :] if name.lower().startswith(PREFIX) else name


class PlivoStream(TableConversation):
    """One Plivo audio stream."""

    TABLE: ClassVar[Table] = {
        (State.NEW, "start"): (_started, State.STREAMING),
        # `timestamp` counts from the epoch in the documents, from the start in the SDK: `audio/` takes either.
        **once_started({"media": media, "dtmf": dtmf, "playedStream": _played}),
    }
