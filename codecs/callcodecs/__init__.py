"""Bytes to samples and back, for telephone audio. Nothing in here knows about calls."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from callcodecs.decoder import Decoder
from callcodecs.errors import UnknownEncodingError
from callcodecs.g711 import G711Decoder, decode_alaw, decode_ulaw
from callcodecs.l16 import L16Decoder

DECODERS: Final[dict[str, Callable[[int], Decoder]]] = {
    "PCMU": partial(G711Decoder, decode_ulaw),
    "PCMA": partial(G711Decoder, decode_alaw),
    "L16LE": partial(L16Decoder, "little"),
    "L16BE": partial(L16Decoder, "big"),
}
"""What each encoding is decoded with, by its name (RFC 3551; L16 names its byte order), given the sample rate."""

RATES: Final = range(4_000, 192_001)
"""Sample rates that sound: outside it is a misread number, not audio."""


def open_decoder(encoding: str, sample_rate: int) -> Decoder:
    """A decoder for one stream. Raises UnknownEncodingError for a name or a rate that nothing here decodes."""
    if encoding not in DECODERS:
        raise UnknownEncodingError(f"unknown encoding {encoding!r}; known: {', '.join(DECODERS)}")
    if sample_rate not in RATES:
        raise UnknownEncodingError(f"{encoding} at {sample_rate} samples a second")
    return DECODERS[encoding](sample_rate)
