"""G.711 against the standard's arithmetic and against FFmpeg."""

from __future__ import annotations

from collections.abc import Callable

import av
import numpy as np
import pytest

from callcodecs.g711 import ALAW_SILENCE, ULAW_SILENCE, decode_alaw, decode_ulaw, encode_alaw, encode_ulaw

Decode = Callable[[bytes], np.ndarray]
Encode = Callable[[np.ndarray], bytes]

EVERY_BYTE = bytes(range(256))


def ffmpeg(codec: str, payload: bytes) -> np.ndarray:
    context = av.CodecContext.create(codec, "r")
    context.sample_rate, context.layout = 8000, "mono"
    return np.concatenate([frame.to_ndarray()[0] for frame in context.decode(av.Packet(payload))])


def expand_ulaw(byte: int) -> int:
    """ITU-T G.711 §3, μ-law, as media-streams.md writes it down."""
    bits = ~byte & 0xFF
    magnitude = (((bits & 0x0F) << 3) + 0x84) << ((bits & 0x70) >> 4)
    return 0x84 - magnitude if bits & 0x80 else magnitude - 0x84


def test_ulaw_is_the_standards() -> None:
    """Every byte decodes to what the standard's formula gives."""
    assert decode_ulaw(EVERY_BYTE).tolist() == [expand_ulaw(byte) for byte in EVERY_BYTE]


@pytest.mark.parametrize(("codec", "decode"), [("pcm_mulaw", decode_ulaw), ("pcm_alaw", decode_alaw)])
def test_decodes_as_ffmpeg_does(codec: str, decode: Decode) -> None:
    """Every byte decodes to what an independent implementation gives."""
    assert decode(EVERY_BYTE).tolist() == ffmpeg(codec, EVERY_BYTE).tolist()


@pytest.mark.parametrize(
    ("sample", "ulaw", "alaw"),
    [(0, 0xFF, 0xD5), (1000, 0xCE, 0xFA), (-1000, 0x4E, 0x7A), (32767, 0x80, 0xAA), (-32768, 0x00, 0x2A)],
)
def test_encodes_the_reference_vectors(sample: int, ulaw: int, alaw: int) -> None:
    """media-streams.md §11: these samples have these bytes."""
    samples = np.array([sample], dtype=np.int16)
    assert encode_ulaw(samples) == bytes([ulaw])
    assert encode_alaw(samples) == bytes([alaw])


@pytest.mark.parametrize(("encode", "decode"), [(encode_ulaw, decode_ulaw), (encode_alaw, decode_alaw)])
def test_what_was_decoded_encodes_to_the_same_value(encode: Encode, decode: Decode) -> None:
    """Nothing is lost by passing through twice."""
    once = decode(EVERY_BYTE)
    assert decode(encode(once)).tolist() == once.tolist()


@pytest.mark.parametrize(("encode", "decode"), [(encode_ulaw, decode_ulaw), (encode_alaw, decode_alaw)])
def test_every_sample_comes_back_nearly(encode: Encode, decode: Decode) -> None:
    """Over the whole range the error stays under 1/16 of the sample, or under a small step near zero."""
    samples = np.arange(-32_000, 32_001, dtype=np.int16)
    error = np.abs(decode(encode(samples)).astype(int) - samples)
    assert (error <= np.maximum(np.abs(samples.astype(int)) / 16, 16)).all()


@pytest.mark.parametrize("decode", [decode_ulaw, decode_alaw])
def test_nothing_in_nothing_out(decode: Decode) -> None:
    """An empty payload is no error."""
    assert decode(b"").shape == (0,)


def test_silence_is_silent() -> None:
    """The bytes that are named silence are the quietest there are."""
    assert decode_ulaw(ULAW_SILENCE).tolist() == [0]
    assert abs(int(decode_alaw(ALAW_SILENCE)[0])) == 8
