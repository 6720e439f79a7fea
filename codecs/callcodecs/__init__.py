"""Bytes to samples and back, for telephone audio. Nothing in here knows about calls."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from callcodecs.byte_order import UnknownOrderDecoder
from callcodecs.decoder import Decoder
from callcodecs.errors import UnknownEncodingError
from callcodecs.g711 import G711Decoder, decode_alaw, decode_ulaw
from callcodecs.g722 import G722Decoder
from callcodecs.l16 import L16Decoder
from callcodecs.opus import OpusDecoder

DECODERS: Final[dict[str, Callable[[int], Decoder]]] = {
    "PCMU": partial(G711Decoder, decode_ulaw),
    "PCMA": partial(G711Decoder, decode_alaw),
    "G722": lambda _rate: G722Decoder(),
    "L16LE": partial(L16Decoder, "little"),
    "L16BE": partial(L16Decoder, "big"),
    "L16": UnknownOrderDecoder,
    "OPUS": lambda _rate: OpusDecoder(),
}
"""What each encoding is decoded with, by its name (RFC 3551, RFC 7587; L16 names its byte order where it is known),
given the rate.

G.722 and Opus have one rate that they decode to, whatever the carrier calls theirs.
"""

RATES: Final = range(4_000, 192_001)
"""Sample rates that sound: outside it is a misread number, not audio."""


TWO_CHANNELS: Final[dict[str, Callable[[int], Decoder]]] = {"OPUS": OpusDecoder}
"""Encodings that carry two parties in one payload, given the channel: 0 left, 1 right."""


def open_decoder(encoding: str, sample_rate: int, channel: int | None = None) -> Decoder:
    """A decoder for one stream, or for one `channel` of it. Raises UnknownEncodingError for a name or a rate that
    nothing here decodes.
    """
    if encoding not in DECODERS:
        raise UnknownEncodingError(f"unknown encoding {encoding!r}; known: {', '.join(DECODERS)}")
    if sample_rate not in RATES:
        raise UnknownEncodingError(f"{encoding} at {sample_rate} samples a second")
    if channel is None:
        return DECODERS[encoding](sample_rate)
    if encoding not in TWO_CHANNELS:
        raise UnknownEncodingError(f"{encoding} with two channels")
    return TWO_CHANNELS[encoding](channel)
