"""RTCP, as far as a call's end needs it: who says goodbye (RFC 3550 §6.1, §6.6)."""

from __future__ import annotations

import struct
from typing import Final

from callcodecs.errors import MalformedPacketError
from callcodecs.rtp import VERSION

RECEIVER_REPORT: Final = 201
BYE: Final = 203
_HEAD: Final = struct.Struct("!BBH")


def goodbyes(data: bytes) -> tuple[int, ...]:
    """The sources (SSRC) that leave by this compound packet, in order; empty for mere reports.

    Raises MalformedPacketError when a length or a version is wrong.
    """
    found: list[int] = []
    at = 0
    while at < len(data):
        if len(data) - at < _HEAD.size:
            raise MalformedPacketError(f"{len(data) - at} bytes, the head of an RTCP packet has {_HEAD.size}")
        first, kind, words = _HEAD.unpack_from(data, at)
        if first >> 6 != VERSION:
            raise MalformedPacketError(f"version {first >> 6}, not {VERSION}")
        begin, at = at + _HEAD.size, at + _HEAD.size + 4 * words
        if at > len(data):
            raise MalformedPacketError(f"ends within an RTCP packet of {words} words")
        if kind == BYE:
            count = first & 0x1F
            if count > words:
                raise MalformedPacketError(f"{count} sources in a BYE of {words} words")
            found += struct.unpack_from(f"!{count}I", data, begin)
    return tuple(found)


def bye(ssrc: int) -> bytes:
    """A source leaves: a compound packet, which has to begin with a report (RFC 3550 §6.1)."""
    return b"".join(
        _HEAD.pack(VERSION << 6 | count, kind, 1) + struct.pack("!I", ssrc)
        for kind, count in ((RECEIVER_REPORT, 0), (BYE, 1))
    )
