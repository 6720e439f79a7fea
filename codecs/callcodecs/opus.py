"""Opus in RTP payloads (RFC 6716, RFC 7587), through FFmpeg and libopus: always 48 kHz, stereo mixed to mono."""

from __future__ import annotations

from typing import Final

from callcodecs.decoder import Pcm
from callcodecs.ffmpeg import decode_payload, encode_samples, open_codec

SAMPLE_RATE: Final = 48_000
FRAME: Final = 960
"""Samples of the 20 ms that the encoder takes at once."""
LONGEST: Final = 5_760
"""Samples of the 120 ms that a packet holds at most (RFC 6716 §3.2.5)."""

_SILK = (480, 960, 1920, 2880)
_HYBRID = (480, 960)
_CELT = (120, 240, 480, 960)
_FRAME_SIZES: Final = (*_SILK * 3, *_HYBRID * 2, *_CELT * 4)
"""Samples a frame for each of the 32 configurations (RFC 6716 table 2)."""


class OpusDecoder:
    """One stream. Its packets say themselves what they hold: mono or stereo, 2.5 to 120 ms."""

    sample_rate = SAMPLE_RATE

    def __init__(self) -> None:
        self._codec = open_codec("libopus", "r", SAMPLE_RATE)

    def count(self, payload: bytes) -> int:
        """From the packet's first bytes (RFC 6716 §3.1); 0 for one that breaks its rules."""
        if not payload:
            return 0
        size = _FRAME_SIZES[payload[0] >> 3]
        match payload[0] & 3:
            case 0:
                return size
            case 1 | 2:
                return 2 * size
        count = size * (payload[1] & 0x3F) if len(payload) > 1 else 0
        return count if count <= LONGEST else 0

    def decode(self, payload: bytes) -> Pcm:
        """Raises CorruptPayloadError for a packet that breaks the rules of RFC 6716 §3.4."""
        return decode_payload(self._codec, payload)

    def lost(self) -> None:
        """Nothing: packets after a loss decode, and what is missing becomes silence."""


class OpusEncoder:
    """One stream of mono speech at 48 kHz."""

    def __init__(self, bit_rate: int = 24_000) -> None:
        self._codec = open_codec("libopus", "w", SAMPLE_RATE)
        self._codec.bit_rate = bit_rate
        self._codec.options = {"application": "voip"}

    def encode(self, samples: Pcm) -> bytes:
        """A packet for each `FRAME` of samples. The speech comes out of a decoder 312 samples late."""
        (packet,) = encode_samples(self._codec, samples)
        return packet
