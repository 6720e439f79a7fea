"""Names that carriers give to encodings, and the rates each may have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bridge.errors import UnsupportedMediaError
from bridge.ingest.fields import part, whole
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
    "g722": Encoding.G722,
    "audio/g722": Encoding.G722,
    "opus": Encoding.OPUS,
    "audio/opus": Encoding.OPUS,
    "audio/x-l16": Encoding.L16_LE,
    "audio/l16": Encoding.L16_LE,
    "l16": Encoding.L16_LE,
}
"""Lower case. L16 over WebSocket is little-endian with most carriers that use these names (RTP's is not)."""

RATES: Final = {
    Encoding.PCMU: frozenset({8000, 16000}),
    Encoding.PCMA: frozenset({8000, 16000}),
    Encoding.L16_LE: frozenset({8000, 16000, 24000, 32000, 44100, 48000}),
    Encoding.G722: frozenset({8000, 16000}),  # 8000 is its RTP clock
    Encoding.OPUS: frozenset({8000, 12000, 16000, 24000, 48000}),
}
DECODED_RATES: Final = {Encoding.G722: 16000, Encoding.OPUS: 48000}
"""What comes out of a decoder that has but one rate."""

PHONE: Final = MediaFormat(encoding=Encoding.PCMU, sample_rate=8000)
"""What carriers document as theirs, where they do not say."""

BYTE_ORDERS: Final = {"little": Encoding.L16_LE, "big": Encoding.L16_BE}


def media_format(
    encoding: object, sample_rate: object, channels: object = 1, *, l16: Encoding = Encoding.L16_LE
) -> MediaFormat:
    """The format that a carrier has announced for each of its mono tracks. `l16` is what it means by L16; what stands
    behind a `;` of the encoding is the carrier's, and told beside it too.

    Raises UnsupportedMediaError.
    """
    bare = encoding.partition(";")[0].strip().lower() if isinstance(encoding, str) else ""
    known = ENCODINGS.get(bare)
    if known is None:
        raise UnsupportedMediaError(f"encoding {_quoted(encoding)} is not one of {', '.join(sorted(ENCODINGS))}")
    rate = whole(sample_rate)
    if rate not in RATES[known]:
        raise UnsupportedMediaError(f"{known} at {_quoted(sample_rate)} Hz; {sorted(RATES[known])} are understood")
    if known is not Encoding.OPUS and whole(channels) != 1:  # Opus says by the packet how many it has
        raise UnsupportedMediaError(f"{_quoted(channels)} channels in one track; 1 is understood")
    return MediaFormat(encoding=l16 if known is Encoding.L16_LE else known, sample_rate=DECODED_RATES.get(known, rate))


def announced_format(
    body: Mapping[str, Any], name: str, *, rate: str = "sampleRate", l16: Encoding = Encoding.L16_LE
) -> MediaFormat:
    """The object `name`, { `encoding`, `rate`, `channels` }, as a format; `PHONE` where it is left out.

    Raises CarrierProtocolError, UnsupportedMediaError.
    """
    if body.get(name) is None:
        return PHONE
    found = part(body, name)
    return media_format(found.get("encoding"), found.get(rate), found.get("channels", 1), l16=l16)


def l16_of(parameters: Mapping[str, str]) -> Encoding:
    """L16 where the carrier's documents leave the byte order open: the customer's `byte_order`, or to be found out."""
    return BYTE_ORDERS.get(parameters.get("byte_order", ""), Encoding.L16)


def _quoted(value: object) -> str:
    """A peer's value as it may stand in a message: short, and harmless to a log."""
    return ascii(value)[:64]
