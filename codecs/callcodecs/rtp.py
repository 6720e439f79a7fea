"""RTP packets, parsed and serialised side by side (RFC 3550 §5.1, §5.3.1)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from callcodecs.errors import MalformedPacketError

VERSION: Final = 2
_HEADER: Final = struct.Struct("!BBHII")
_EXTENSION: Final = struct.Struct("!HH")


@dataclass(frozen=True, slots=True, kw_only=True)
class RtpExtension:
    """A header extension: `data` is whole 32-bit words."""

    profile: int
    data: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class RtpPacket:
    """One packet. Numbers are as on the wire: `sequence` wraps at 2¹⁶, `timestamp` at 2³²."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes = b""
    marker: bool = False
    csrcs: tuple[int, ...] = ()
    extension: RtpExtension | None = None
    padding: int = 0
    """Bytes behind the payload, 0–255, the last of which tells their number."""

    def __repr__(self) -> str:
        return (
            f"RtpPacket(seq={self.sequence}, ts={self.timestamp}, pt={self.payload_type}, ssrc={self.ssrc:08x}, "
            f"marker={self.marker}, {len(self.payload)} bytes)"
        )

    @classmethod
    def parse(cls, data: bytes) -> RtpPacket:
        """Raises MalformedPacketError when a length or the version is wrong. Check `is_rtcp` before."""
        if len(data) < _HEADER.size:
            raise MalformedPacketError(f"{len(data)} bytes, an RTP header has {_HEADER.size}")
        first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
        if first >> 6 != VERSION:
            raise MalformedPacketError(f"version {first >> 6}, not {VERSION}")
        at = _HEADER.size + 4 * (first & 0x0F)
        if len(data) < at:
            raise MalformedPacketError(f"ends within its list of {first & 0x0F} contributing sources")
        csrcs = struct.unpack_from(f"!{first & 0x0F}I", data, _HEADER.size)
        extension = None
        if first & 0x10:
            extension, at = _parse_extension(data, at)
        padding = 0
        if first & 0x20:
            padding = data[-1]
            if not 1 <= padding <= len(data) - at:
                raise MalformedPacketError(f"{padding} bytes of padding in {len(data) - at}")
        return cls(
            payload_type=second & 0x7F,
            sequence=sequence,
            timestamp=timestamp,
            ssrc=ssrc,
            payload=data[at : len(data) - padding],
            marker=bool(second & 0x80),
            csrcs=csrcs,
            extension=extension,
            padding=padding,
        )

    def serialize(self) -> bytes:
        """Raises ValueError for a field that has no room for its value."""
        if not (self.payload_type < 0x80 and self.padding < 0x100 and len(self.csrcs) < 0x10):
            raise ValueError(f"does not fit an RTP header: {self!r}")
        first = VERSION << 6 | bool(self.padding) << 5 | (self.extension is not None) << 4 | len(self.csrcs)
        second = self.marker << 7 | self.payload_type
        try:
            header = _HEADER.pack(first, second, self.sequence, self.timestamp, self.ssrc)
            header += struct.pack(f"!{len(self.csrcs)}I", *self.csrcs)
        except struct.error as error:
            raise ValueError(f"does not fit an RTP header: {self!r} ({error})") from None
        if self.extension is not None:
            header += _serialize_extension(self.extension)
        return header + self.payload + (bytes(self.padding - 1) + bytes([self.padding]) if self.padding else b"")


def is_rtcp(data: bytes) -> bool:
    """Whether a packet on a shared port is RTCP (RFC 5761 §4)."""
    return len(data) > 1 and data[0] >> 6 == VERSION and 192 <= data[1] <= 223


def _parse_extension(data: bytes, at: int) -> tuple[RtpExtension, int]:
    begin = at + _EXTENSION.size
    if len(data) < begin:
        raise MalformedPacketError("ends within the head of its extension")
    profile, words = _EXTENSION.unpack_from(data, at)
    end = begin + 4 * words
    if len(data) < end:
        raise MalformedPacketError(f"ends within its extension of {words} words")
    return RtpExtension(profile=profile, data=data[begin:end]), end


def _serialize_extension(extension: RtpExtension) -> bytes:
    words, rest = divmod(len(extension.data), 4)
    if rest or words > 0xFFFF or not 0 <= extension.profile <= 0xFFFF:
        raise ValueError(f"no RTP extension: profile {extension.profile}, {len(extension.data)} bytes")
    return _EXTENSION.pack(extension.profile, words) + extension.data
