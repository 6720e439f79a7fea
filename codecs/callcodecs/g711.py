"""G.711 μ-law and A-law (ITU-T G.711; RTP payload types 0 and 8): one byte a sample, no state."""

from __future__ import annotations

import audioop
from collections.abc import Callable

import numpy as np

from callcodecs.decoder import Pcm

ULAW_SILENCE = b"\xff"
"""Decodes to 0. A buffer of zero bytes is no silence: 0x00 is −32124."""
ALAW_SILENCE = b"\xd5"
"""Decodes to 8, the value nearest to none: A-law has no zero."""


def decode_ulaw(payload: bytes) -> Pcm:
    """μ-law to linear, ±32124. Defined for every byte, so it never raises; empty in, empty out."""
    return np.frombuffer(audioop.ulaw2lin(payload, 2), dtype=np.int16)


def encode_ulaw(samples: Pcm) -> bytes:
    """Linear to μ-law. −1 … −3 become −8 and not 0: audioop cuts to 14 bits before it encodes."""
    return bytes(audioop.lin2ulaw(samples.tobytes(), 2))


def decode_alaw(payload: bytes) -> Pcm:
    """A-law to linear, ±32256. Defined for every byte, so it never raises; empty in, empty out."""
    return np.frombuffer(audioop.alaw2lin(payload, 2), dtype=np.int16)


def encode_alaw(samples: Pcm) -> bytes:
    """Linear to A-law."""
    return bytes(audioop.lin2alaw(samples.tobytes(), 2))


class G711Decoder:
    """Either law at any rate: telephones use 8000."""

    def __init__(self, decode: Callable[[bytes], Pcm], sample_rate: int) -> None:
        self.decode = decode
        self.sample_rate = sample_rate

    def count(self, payload: bytes) -> int:
        return len(payload)

    def lost(self) -> None:
        """Nothing: no sample depends on another."""
