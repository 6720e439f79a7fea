"""Silence, as each decoder hears it."""

from __future__ import annotations

import numpy as np
import pytest

from callcodecs import open_decoder
from callcodecs.errors import UnknownEncodingError
from callcodecs.g722 import G722Encoder
from callcodecs.silence import FRAME_MS, silent_frame


@pytest.mark.parametrize(
    ("encoding", "sample_rate"),
    [("PCMU", 8000), ("PCMA", 8000), ("L16BE", 16000), ("L16LE", 8000), ("G722", 16000), ("OPUS", 48000)],
)
def test_it_is_silent(encoding: str, sample_rate: int) -> None:
    """20 ms each, and nothing to hear."""
    decoder = open_decoder(encoding, sample_rate)
    for _ in range(5):
        heard = decoder.decode(silent_frame(encoding, sample_rate))
        assert np.abs(heard.astype(int)).max(initial=0) < 64
    assert decoder.count(silent_frame(encoding, sample_rate)) == sample_rate * FRAME_MS // 1000


def test_it_is_silent_behind_speech() -> None:
    """G.722's decoder remembers: what was loud is gone within two frames."""
    decoder, encoder = open_decoder("G722", 16000), G722Encoder()
    loud = (12_000 * np.sin(2 * np.pi * 500 * np.arange(16_000) / 16_000)).astype(np.int16)
    decoder.decode(encoder.encode(loud))
    heard = [decoder.decode(silent_frame("G722", 16000)) for _ in range(10)]
    assert all(np.abs(each.astype(int)).max() < 330 for each in heard[1:])
    assert all(np.abs(each.astype(int)).max() < 64 for each in heard[2:])


def test_an_encoding_that_nobody_knows() -> None:
    """It is named."""
    with pytest.raises(UnknownEncodingError, match="G729"):
        silent_frame("G729", 8000)
