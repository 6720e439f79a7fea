"""Plivo audio streaming: JSON text without `connected`, base64 μ-law or L16 (docs.plivo.com, XML `<Stream>`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final

from bridge.ingest.fields import identifier, parameters, part
from bridge.ingest.formats import l16_of, media_format
from bridge.ingest.messages import dtmf, media
from bridge.ingest.table import Body, Known, State, Table, TableConversation, once_started
from bridge.ingest.tracks import announced_legs
from bridge.model.foreign import from_json
from bridge.model.stream import MarkReached, MediaChunk, StreamItem, StreamStarted

BETWEEN: Final = re.compile("[;,{}]")
PAIR: Final = re.compile(r"[=:\s]*([^=:\s][^=:]*)[=:](.*)", re.DOTALL)
"""Of `extra_headers`: `k=v;k2=v2`, `k=v,k2=v2` and `{X-PH-k: v}` have all been seen. Each is looked at once: one
expression for all of them would look for a pair behind every character of a text that has none.
"""
FRAME_MS: Final = 20
MOST_OVERTAKEN: Final = 50
"""Chunks: a second. A first chunk further on has not overtaken others; the count is not what we take it for."""
TIME_OF_DAY_MS: Final = 10_000_000_000
"""Unix time in April 1970: no call lasts so long, no clock shows less."""
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
    given = parameters(_read(found) if isinstance(found, str) else found)
    return {_bare(name): value.strip() for name, value in given.items()}


def _read(text: str) -> Any:
    try:
        return from_json(text)
    except ValueError:
        return {pair[1]: pair[2] for part in BETWEEN.split(text) if (pair := PAIR.match(part))}


def _bare(name: str) -> str:
    name = name.strip()
    return name[len(PREFIX) :] if name.lower().startswith(PREFIX) else name


class PlivoStream(TableConversation):
    """One Plivo audio stream."""

    TABLE: ClassVar[Table] = {
        (State.NEW, "start"): (_started, State.STREAMING),
        **once_started({"media": media, "dtmf": dtmf, "playedStream": _played}),
    }

    def __init__(self, query: Mapping[str, str] | None = None) -> None:
        super().__init__(query)
        self._began_ms: float | None = None
        """By Plivo's clock; None until audio has come."""

    def receive(self, message: str | bytes) -> list[StreamItem]:
        """Raises CarrierProtocolError and UnsupportedMediaError; state and output are then unchanged."""
        return [self._since_start(item) if isinstance(item, MediaChunk) else item for item in super().receive(message)]

    def _since_start(self, chunk: MediaChunk) -> MediaChunk:
        """`timestamp` is the time of day in the documents, and counts from the start in the SDK: it may be either."""
        if chunk.timestamp_ms is None:
            return chunk
        if self._began_ms is None:
            self._began_ms = chunk.timestamp_ms - _overtaken_ms(chunk) if chunk.timestamp_ms > TIME_OF_DAY_MS else 0
        return replace(chunk, timestamp_ms=max(0, chunk.timestamp_ms - self._began_ms))


def _overtaken_ms(chunk: MediaChunk) -> float:
    """How much of its track, counted from 1, a first chunk has overtaken on its way."""
    before = (chunk.sequence or 1) - 1
    return before * FRAME_MS if 0 < before < MOST_OVERTAKEN else 0
