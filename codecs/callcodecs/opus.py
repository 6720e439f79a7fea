"""Opus in RTP payloads (RFC 6716, RFC 7587), through FFmpeg and libopus: always 48 kHz, stereo mixed or one side."""

from __future__ import annotations

from typing import Final

import numpy as np

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

    def __init__(self, channel: int | None = None) -> None:
        """`channel` is the one to be heard, 0 left, 1 right (of a mono packet, both are the same); None mixes them."""
        self._channel = channel
        self._codec = open_codec("libopus", "r", SAMPLE_RATE, "mono" if channel is None else "stereo")

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
        samples = decode_payload(self._codec, payload)
        return samples if self._channel is None else np.ascontiguousarray(samples[self._channel :: 2])

    def lost(self) -> None:
        """Nothing: packets after a loss decode, and what is missing becomes silence."""


class OpusEncoder:
    """One stream of speech at 48 kHz: mono, or (`channels` 2) a party a channel."""

    def __init__(self, bit_rate: int = 24_000, *, channels: int = 1) -> None:
        self._codec = open_codec("libopus", "w", SAMPLE_RATE, "mono" if channels == 1 else "stereo")
        self._codec.bit_rate = bit_rate
        self._codec.options = {"application": "voip"}

    def encode(self, samples: Pcm) -> bytes:
        """A packet for each `FRAME` of samples, interleaved in stereo. The speech comes out 312 samples late."""
        (packet,) = encode_samples(self._codec, samples)
        return packet
