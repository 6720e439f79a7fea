"""Linear 16-bit samples (RFC 3551 §4.5.11 is big-endian; most carriers' sockets are little-endian)."""

from __future__ import annotations

import audioop
import sys
from typing import Literal

import numpy as np

from callcodecs.decoder import Pcm

ByteOrder = Literal["little", "big"]


def encode_l16(samples: Pcm, order: ByteOrder) -> bytes:
    """Two bytes a sample, in the given order."""
    return _in_order(samples.tobytes(), order)


class L16Decoder:
    """L16 of one byte order. A payload may end in the middle of a sample: the odd byte waits for the next one."""

    def __init__(self, order: ByteOrder, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.order: ByteOrder = order
        self.held = b""
        """The first half of a sample whose other half has yet to come, if there is one."""

    def count(self, payload: bytes) -> int:
        return (len(self.held) + len(payload)) // 2

    def decode(self, payload: bytes) -> Pcm:
        """Any bytes are samples, so it never raises."""
        data = self.held + payload if self.held else payload
        whole = len(data) & ~1
        self.held = data[whole:]
        return np.frombuffer(_in_order(data[:whole], self.order), dtype=np.int16)

    def lost(self) -> None:
        """The half sample's other half is gone, and payloads begin with whole samples again."""
        self.held = b""


def _in_order(data: bytes, order: ByteOrder) -> bytes:
    return data if order == sys.byteorder else bytes(audioop.byteswap(data, 2))
