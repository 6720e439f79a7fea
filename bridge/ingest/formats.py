"""Names that carriers give to encodings, and the rates each may have."""

from __future__ import annotations

from typing import Final

from bridge.errors import UnsupportedMediaError
from bridge.ingest.fields import whole
from bridge.model.stream import Encoding, MediaFormat

ENCODINGS: Final = {
    "audio/x-mulaw": Encoding.PCMU,
    "audio/mulaw": Encoding.PCMU,
    "audio/pcmu": Encoding.PCMU,
    "mulaw": Encoding.PCMU,
    "ulaw": Encoding.PCMU,
    "pcmu": Encoding.PCMU,
    "audio/x-alaw": Encoding.PCMA,
    "audio/alaw": Encoding.PCMA,
    "audio/pcma": Encoding.PCMA,
    "alaw": Encoding.PCMA,
    "pcma": Encoding.PCMA,
    "audio/x-l16": Encoding.L16_LE,
    "audio/l16": Encoding.L16_LE,
    "l16": Encoding.L16_LE,
}
"""Lower case. L16 over WebSocket is little-endian with the carriers that use these names (RTP's is not)."""

RATES: Final = {
    Encoding.PCMU: frozenset({8000, 16000}),
    Encoding.PCMA: frozenset({8000, 16000}),
    Encoding.L16_LE: frozenset({8000, 16000, 24000, 32000, 44100, 48000}),
}


def media_format(encoding: object, sample_rate: object, channels: object = 1) -> MediaFormat:
    """The format that a carrier has announced for each of its mono tracks. Raises UnsupportedMediaError."""
    known = ENCODINGS.get(encoding.lower()) if isinstance(encoding, str) else None
    if known is None:
        raise UnsupportedMediaError(f"encoding {_quoted(encoding)} is not one of {', '.join(sorted(ENCODINGS))}")
    rate = whole(sample_rate)
    if rate not in RATES[known]:
        raise UnsupportedMediaError(f"{known} at {_quoted(sample_rate)} Hz; {sorted(RATES[known])} are understood")
    if whole(channels) != 1:
        raise UnsupportedMediaError(f"{_quoted(channels)} channels in one track; 1 is understood")
    return MediaFormat(encoding=known, sample_rate=rate)


def _quoted(value: object) -> str:
    """A peer's value as it may stand in a message: short, and harmless to a log."""
    return ascii(value)[:64]
