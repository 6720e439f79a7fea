"""G.722 at 64 kbit/s (ITU-T G.722; RTP payload type 9): a byte is two samples at 16 kHz.

RTP's clock for it runs at 8000, an old error kept on purpose (RFC 3551 §4.5.2); the audio is 16 kHz all the same and
goes straight on. Decoded by FFmpeg, which is here anyway: bit for bit what the ITU-tested `G722` package gives, on
speech and on random bytes, and no slower.
"""

from __future__ import annotations

from typing import Final

from callcodecs.decoder import Pcm
from callcodecs.ffmpeg import decode_payload, encode_samples, open_codec

SAMPLE_RATE: Final = 16_000


class G722Decoder:
    """One stream. After a loss it finds back by itself: nearly within 0.2 s, to the bit within 0.3 s."""

    sample_rate = SAMPLE_RATE

    def __init__(self) -> None:
        self._codec = open_codec("g722", "r", SAMPLE_RATE)

    def count(self, payload: bytes) -> int:
        return 2 * len(payload)

    def decode(self, payload: bytes) -> Pcm:
        """Every byte stands for two samples."""
        return decode_payload(self._codec, payload)

    def lost(self) -> None:
        """Nothing: the decoder adapts."""


class G722Encoder:
    """One stream of samples at 16 kHz."""

    def __init__(self) -> None:
        self._codec = open_codec("g722", "w", SAMPLE_RATE)

    def encode(self, samples: Pcm) -> bytes:
        """An even number of samples, half as many bytes."""
        return b"".join(encode_samples(self._codec, samples)) if len(samples) else b""
