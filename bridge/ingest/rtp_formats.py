"""What RTP payload types mean: RFC 3551's static ones, those that Asterisk assumes, and those that are told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, TypeAlias

from bridge.errors import UnsupportedMediaError
from bridge.model.stream import Encoding, MediaFormat


@dataclass(frozen=True, slots=True)
class Audio:
    """A payload type that carries speech."""

    media_format: MediaFormat
    clock_rate: int
    """Ticks of the RTP timestamp a second: not the sample rate for G.722 (RFC 3551 §4.5.2)."""


class Signal(Enum):
    """A payload type that carries none."""

    KEYS = auto()
    """telephone-event (RFC 4733)."""
    NOISE = auto()
    """Comfort noise (RFC 3389): from here on there is nothing to send."""


Payload: TypeAlias = Audio | Signal

NAME: Final = re.compile(r"([A-Za-z0-9-]{2,20})(?:/(\d{1,6})(?:/(\d))?)?")
"""An encoding as SDP's rtpmap writes it: name, clock rate, channels (RFC 8866 §6.6)."""

CLOCKS: Final[Mapping[str, frozenset[int]]] = {
    "PCMU": frozenset({8000, 16000}),
    "PCMA": frozenset({8000, 16000}),
    "G722": frozenset({8000}),
    "L16": frozenset({8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 96000}),
    "OPUS": frozenset({48000}),
}
"""The clock rates that are understood; the first that an encoding usually has is `USUAL`."""
USUAL: Final[Mapping[str, int]] = {"PCMU": 8000, "PCMA": 8000, "G722": 8000, "L16": 16000, "OPUS": 48000}

SIGNALS: Final[Mapping[str, Signal]] = {"TELEPHONE-EVENT": Signal.KEYS, "CN": Signal.NOISE}


def payload_of(name: str) -> Payload:
    """`PCMU`, `L16/16000`, `opus/48000/2`, `telephone-event/8000` … Raises UnsupportedMediaError."""
    found = NAME.fullmatch(name.strip())
    if found is None:
        raise UnsupportedMediaError(f"{ascii(name)[:40]} is not like PCMU/8000")
    encoding, rate, channels = found[1].upper(), found[2], found[3]
    if encoding in SIGNALS:
        return SIGNALS[encoding]
    if encoding not in CLOCKS:
        raise UnsupportedMediaError(f"{found[1]} is not one of {', '.join(CLOCKS)}")
    clock_rate = int(rate) if rate is not None else USUAL[encoding]
    if clock_rate not in CLOCKS[encoding]:
        raise UnsupportedMediaError(f"{found[1]} at {clock_rate} Hz; {sorted(CLOCKS[encoding])} are understood")
    if encoding != "OPUS" and channels not in {None, "1"}:  # Opus is always said to have two (RFC 7587 §7)
        raise UnsupportedMediaError(f"{channels} channels in one leg; 1 is understood")
    return _audio(encoding, clock_rate)


def _audio(encoding: str, clock_rate: int) -> Audio:
    if encoding == "L16":  # big-endian on this wire (RFC 3551 §4.5.11)
        return Audio(MediaFormat(encoding=Encoding.L16_BE, sample_rate=clock_rate), clock_rate)
    sample_rate = 16000 if encoding == "G722" else clock_rate
    return Audio(MediaFormat(encoding=Encoding(encoding), sample_rate=sample_rate), clock_rate)


FIXED: Final[Mapping[int, Payload]] = {
    0: payload_of("PCMU"),
    8: payload_of("PCMA"),
    9: payload_of("G722"),
    13: Signal.NOISE,
    19: Signal.NOISE,  # RFC 3551 reserves it: comfort noise of before 13 was given out
}
"""They mean the same whatever is agreed upon."""

ASSUMED: Final[Mapping[int, Payload]] = {
    11: payload_of("L16/44100"),
    101: Signal.KEYS,
    107: payload_of("opus"),
    118: payload_of("L16/16000"),
    122: payload_of("L16/12000"),
    123: payload_of("L16/24000"),
    124: payload_of("L16/32000"),
    125: payload_of("L16/44100"),
    126: payload_of("L16/48000"),
    127: payload_of("L16/96000"),
}
"""Where nothing was said: RFC 3551's 11, and what Asterisk sends without SDP (`main/rtp_engine.c`)."""

FREE: Final = frozenset({10, 11, *range(96, 128)})
"""Types that carry the codec which was asked for, whatever their number: 10 and 11 are Asterisk's for L16 at 8 kHz."""


@dataclass(frozen=True, slots=True)
class PayloadTypes:
    """The payload types of one call."""

    told: Mapping[int, Payload] = field(default_factory=dict)
    """By number, as SDP or the customer says."""
    codec: Audio | None = None
    """The one codec that was asked for, where numbers were not told."""

    def of(self, number: int) -> Payload | None:
        """None for a type that nobody has explained."""
        known = self.told.get(number) or FIXED.get(number)
        if known is not None:
            return known
        assumed = ASSUMED.get(number)
        if self.codec is not None and number in FREE and not isinstance(assumed, Signal):
            return self.codec
        return assumed
