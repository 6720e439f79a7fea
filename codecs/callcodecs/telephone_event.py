"""Keys in RTP: the payload of telephone-event (RFC 4733 §2.3)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from callcodecs.errors import MalformedPacketError

KEYS: Final = "0123456789*#ABCD"
"""Event codes 0–15 by the key they stand for."""
_PAYLOAD: Final = struct.Struct("!BBH")


@dataclass(frozen=True, slots=True, kw_only=True)
class TelephoneEvent:
    """What one packet says of a key: all packets of one press have the same RTP timestamp, its start."""

    event: int
    end: bool
    volume: int
    """−dBm0, 0–63."""
    duration: int
    """So far, in ticks of the RTP clock."""

    @property
    def key(self) -> str | None:
        """One of `KEYS`; None for other events (16 is a hook flash)."""
        return KEYS[self.event] if self.event < len(KEYS) else None

    @classmethod
    def parse(cls, payload: bytes) -> TelephoneEvent:
        """The first event of a payload. Raises MalformedPacketError when it is too short for one."""
        if len(payload) < _PAYLOAD.size:
            raise MalformedPacketError(f"{len(payload)} bytes, a telephone-event has {_PAYLOAD.size}")
        event, flags, duration = _PAYLOAD.unpack_from(payload)
        return cls(event=event, end=bool(flags & 0x80), volume=flags & 0x3F, duration=duration)

    def serialize(self) -> bytes:
        return _PAYLOAD.pack(self.event, self.end << 7 | self.volume, self.duration)
