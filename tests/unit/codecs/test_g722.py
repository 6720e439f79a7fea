"""G.722 against the `G722` package, an independent implementation that passes the ITU's tests."""

from __future__ import annotations

from array import array

import numpy as np
import pytest
from G722 import G722

from callcodecs.g722 import G722Decoder, G722Encoder


def tone() -> np.ndarray:
    seconds = np.arange(16_000) / 16_000
    return (8_000 * np.sin(2 * np.pi * 440 * seconds) + 3_000 * np.sin(2 * np.pi * 5_000 * seconds)).astype(np.int16)


def independent(wire: bytes) -> list[int]:
    return list(G722(16_000, 64_000).decode(wire))


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(bytes(G722(16_000, 64_000).encode(array("h", tone().tobytes()))), id="tones"),
        pytest.param(np.random.default_rng(3).bytes(4_000), id="random-bytes"),
        pytest.param(bytes(4_000), id="zeros"),
    ],
)
@pytest.mark.parametrize("frame", [160, 1, 77])
def test_decodes_bit_for_bit(wire: bytes, frame: int) -> None:
    """In frames of any size it gives the very samples of the other implementation."""
    decoder = G722Decoder()
    heard = [decoder.decode(wire[at : at + frame]) for at in range(0, len(wire), frame)]
    assert np.concatenate(heard).tolist() == independent(wire)


def test_encodes_bit_for_bit() -> None:
    """20 ms at a time, the encoder gives the very bytes of the other implementation."""
    encoder = G722Encoder()
    wire = b"".join(encoder.encode(frame) for frame in tone().reshape(-1, 320))
    assert wire == bytes(G722(16_000, 64_000).encode(array("h", tone().tobytes())))


def test_a_byte_is_two_samples_at_16_khz() -> None:
    """`count` tells what `decode` gives, and the rate is 16 kHz whatever RTP's clock says."""
    decoder = G722Decoder()
    assert decoder.sample_rate == 16_000
    assert decoder.count(bytes(160)) == len(decoder.decode(bytes(160))) == 320


def test_an_empty_payload_is_not_the_end() -> None:
    """Nothing in is nothing out, and decoding goes on."""
    decoder = G722Decoder()
    assert len(decoder.decode(b"")) == 0
    assert len(decoder.decode(bytes(160))) == 320
    assert G722Encoder().encode(np.zeros(0, np.int16)) == b""


def test_recovers_after_a_loss() -> None:
    """0.2 s after 20 ms were lost the samples are nearly right again, after 0.3 s they are the very same."""
    wire = G722Encoder().encode(tone())
    decoder = G722Decoder()
    decoder.decode(wire[:1_600])
    decoder.lost()
    after = decoder.decode(wire[1_760:])
    error = np.abs(after - np.array(independent(wire)[2 * 1_760 :]))
    assert error[3_200:4_800].max() < 100
    assert not error[4_800:].any()
