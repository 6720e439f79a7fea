"""A call's items as bytes and back.

    file   = MAGIC block…
    block  = length u32, CRC-32 of the payload u32, payload        (little-endian, as everything here)
    payload of the first block = JSON: call_id, tenant, started_at
    payload of all others      = item…, the first of them a StreamStarted
    item   = kind u8, leg u8, size u32, sequence i64, timestamp f64, body

A block is what was written in one go, so a write that was cut off spoils at most the last one.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from dataclasses import asdict, dataclass
from typing import Final

from bridge.model.call_key import CallKey
from bridge.model.foreign import from_json
from bridge.model.stream import (
    Discarded,
    DtmfDigit,
    Encoding,
    Flush,
    Leg,
    MarkReached,
    MediaChunk,
    MediaFormat,
    PlaybackHeld,
    StreamItem,
    StreamStarted,
    StreamStopped,
    TurnsChanged,
)

MAGIC: Final = b"callbridge spool 1\n"
"""Its number counts the versions of this format. A file of another version is not read."""

MOST_IN_BLOCK: Final = 64 * 1024 * 1024
"""Bytes; a length beyond it is damage."""

FRAME: Final = struct.Struct("<II")
_ITEM: Final = struct.Struct("<BBIqd")
_LEGS: Final = tuple(Leg)
_LEG_NUMBERS: Final = {leg: number for number, leg in enumerate(_LEGS)}
_NO_SEQUENCE: Final = -(1 << 63)

_MEDIA: Final = 0
_KINDS: Final[dict[int, type[StreamItem]]] = {
    1: StreamStarted,
    2: Discarded,
    3: DtmfDigit,
    4: MarkReached,
    5: StreamStopped,
    6: Flush,
    7: PlaybackHeld,
    8: TurnsChanged,
}
_KIND_NUMBERS: Final = {kind: number for number, kind in _KINDS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Whose call a file holds."""

    call_id: str
    tenant: str
    started_at: float
    """Unix seconds, UTC."""

    @property
    def key(self) -> CallKey:
        return CallKey(self.tenant, self.call_id)


def opening(header: Header, started: StreamStarted) -> bytes:
    """What a file begins with."""
    return MAGIC + block(json.dumps(asdict(header)).encode()) + block(item_to_bytes(started))


def header_of(payload: bytes) -> Header:
    """Raises ValueError, TypeError, LookupError or OverflowError when the payload is none of ours."""
    found = from_json(payload)
    return Header(call_id=str(found["call_id"]), tenant=str(found["tenant"]), started_at=float(found["started_at"]))


def block(payload: bytes) -> bytes:
    """A payload with its length and checksum."""
    return FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def item_to_bytes(item: StreamItem) -> bytes:
    """A part of a block's payload."""
    if isinstance(item, MediaChunk):
        sequence, timestamp, body = item.sequence, item.timestamp_ms, item.payload
        return (
            _ITEM.pack(
                _MEDIA,
                _LEG_NUMBERS[item.leg],
                len(body),
                _NO_SEQUENCE if sequence is None else sequence,
                math.nan if timestamp is None else timestamp,
            )
            + body
        )
    body = json.dumps(asdict(item)).encode()
    return _ITEM.pack(_KIND_NUMBERS[type(item)], 0, len(body), _NO_SEQUENCE, math.nan) + body


def items_of(payload: bytes) -> list[StreamItem]:
    """The items of a block. Raises ValueError, TypeError, LookupError or struct.error when it is none of ours."""
    items: list[StreamItem] = []
    at = 0
    while at < len(payload):
        kind, leg, size, sequence, timestamp = _ITEM.unpack_from(payload, at)
        at += _ITEM.size + size
        body = payload[at - size : at]
        if len(body) < size:
            raise ValueError("an item that is longer than its block")
        if kind == _MEDIA:
            items.append(
                MediaChunk(
                    leg=_LEGS[leg],
                    payload=body,
                    sequence=None if sequence == _NO_SEQUENCE else sequence,
                    timestamp_ms=None if math.isnan(timestamp) else timestamp,
                )
            )
        else:
            items.append(_item_of(_KINDS[kind], from_json(body)))
    return items


def _item_of(kind: type[StreamItem], fields: dict[str, object]) -> StreamItem:
    if "leg" in fields:
        fields["leg"] = Leg(str(fields["leg"]))
    if kind is StreamStarted:
        return _started_of(fields)
    return kind(**fields)  # type: ignore[arg-type]  # what asdict wrote


def _started_of(fields: dict[str, object]) -> StreamStarted:
    media = fields["media_format"]
    legs = fields["legs"]
    if not isinstance(media, dict) or not isinstance(legs, list):
        raise TypeError("a stream's start without its format or legs")
    media_format = MediaFormat(
        encoding=Encoding(media["encoding"]), sample_rate=media["sample_rate"], channels=media.get("channels", 1)
    )
    given = {**fields, "media_format": media_format, "legs": tuple(Leg(leg) for leg in legs)}
    return StreamStarted(**given)  # type: ignore[arg-type]  # what asdict wrote
