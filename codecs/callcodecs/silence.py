"""Silence in each encoding, for stretches in which a sender says that there is nothing to send."""

from __future__ import annotations

from functools import cache

import numpy as np

from callcodecs.errors import UnknownEncodingError
from callcodecs.g722 import SAMPLE_RATE, G722Encoder
from callcodecs.opus import FRAME, OpusEncoder

FRAME_MS = 20
"""What Opus holds in one payload; all others are cut to it too."""


@cache
def silent_frame(encoding: str, sample_rate: int) -> bytes:
    """A payload of `FRAME_MS` of silence. G.722's is as good as silent whatever its decoder has heard before.

    Raises UnknownEncodingError.
    """
    count = sample_rate * FRAME_MS // 1000
    match encoding:
        case "PCMU":
            return b"\xff" * count
        case "PCMA":
            return b"\xd5" * count
        case "L16LE" | "L16BE" | "L16":
            return bytes(2 * count)
        case "G722":
            return _settled_g722()
        case "OPUS":
            return OpusEncoder().encode(np.zeros(FRAME, np.int16))
    raise UnknownEncodingError(f"unknown encoding {encoding!r}")


def _settled_g722() -> bytes:
    """What the encoder says once it has got used to silence."""
    encoder = G722Encoder()
    frame = np.zeros(SAMPLE_RATE * FRAME_MS // 1000, np.int16)
    for _ in range(50):
        payload = encoder.encode(frame)
    return payload
