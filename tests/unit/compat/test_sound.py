"""Samples as clients send them: cut anyhow, with channels inside each other, under names that do not say everything."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.compat.sound import RawSound
from bridge.errors import UnsupportedMediaError
from bridge.model.stream import Encoding, Leg, MediaChunk

RAMP = np.arange(-3000, 3000, 7, dtype=np.int16)


async def heard(sound: RawSound, data: bytes, *, size: int) -> dict[Leg, bytes]:
    """What reaches each leg when the bytes come in pieces of a size."""
    found: dict[Leg, bytes] = dict.fromkeys(sound.legs, b"")

    async def put(chunk: MediaChunk) -> None:
        found[chunk.leg] += chunk.payload

    for at in range(0, len(data), size):
        await sound.feed(data[at : at + size], put)
    return found


@pytest.mark.parametrize("size", [1, 3, 640, 10_000])
async def test_channels_inside_each_other(size: int) -> None:
    """Each leg gets its own samples, wherever the pieces end."""
    both = np.stack([RAMP, -RAMP], axis=1).tobytes()
    legs = await heard(RawSound("linear16", 8000, channels=2, apart=True), both, size=size)
    assert legs == {Leg.CALLER: RAMP.tobytes(), Leg.AGENT: (-RAMP).tobytes()}


async def test_channels_mixed() -> None:
    """Who does not ask for them apart gets their mean."""
    both = np.stack([RAMP, RAMP * 3], axis=1).tobytes()
    legs = await heard(RawSound("linear16", 8000, channels=2), both, size=100)
    assert legs == {Leg.MIXED: (RAMP * 2).tobytes()}


@pytest.mark.parametrize(
    "data",
    [
        pytest.param((RAMP.astype("<i4") * 65536).tobytes(), id="whole-numbers"),
        pytest.param((RAMP.astype("<f4") / 32767).tobytes(), id="floats"),
    ],
)
async def test_samples_of_32_bits(data: bytes) -> None:
    """Whole numbers, or the floats that some send under the same name."""
    legs = await heard(RawSound("linear32", 16_000), data, size=len(data))
    assert np.frombuffer(legs[Leg.MIXED], "<i2") == pytest.approx(RAMP, abs=1)


async def test_g711_goes_on_as_it_is() -> None:
    """Nothing is decoded before the call does so."""
    sound = RawSound("mulaw", 8000)
    assert sound.media_format.encoding is Encoding.PCMU
    assert await heard(sound, bytes(range(256)), size=7) == {Leg.MIXED: bytes(range(256))}


@pytest.mark.parametrize(("encoding", "channels"), [("g729", 1), ("linear16", 3), ("opus", 2)])
def test_what_is_not_understood(encoding: str, channels: int) -> None:
    """It is refused before anything is sent."""
    with pytest.raises(UnsupportedMediaError):
        RawSound(encoding, 8000, channels=channels)


async def test_floats_that_say_so() -> None:
    """What lies beyond full scale is cut off, and what is no number is silence."""
    data = np.array([0.5, 1.7, -3.0, np.nan, np.inf], "<f4").tobytes()
    legs = await heard(RawSound("float32", 16_000), data, size=3)
    assert np.frombuffer(legs[Leg.MIXED], "<i2").tolist() == [16383, 32767, -32767, 0, 0]
