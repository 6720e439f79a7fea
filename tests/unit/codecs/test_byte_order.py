"""L16 of unknown byte order, with speech, noise and rubbish."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st

from bridge.carrier.audio import read_call
from bridge.model.stream import Leg
from callcodecs.byte_order import UnknownOrderDecoder
from callcodecs.l16 import ByteOrder, encode_l16

CALL = Path(__file__).parents[3] / "fixtures" / "audio" / "two-party.wav"
FRAME = 320
BOTH_ORDERS = pytest.mark.parametrize("order", ["little", "big"])


@cache
def phone() -> np.ndarray:
    """The caller of the bundled call, as μ-law left it, at 8 kHz."""
    return np.ascontiguousarray(read_call(CALL).legs[Leg.CALLER])


@cache
def speech() -> np.ndarray:
    """The same at 16 kHz, with all the values between."""
    return soxr.resample(phone(), 8_000, 16_000)


def frames(samples: np.ndarray, order: ByteOrder) -> list[bytes]:
    return [encode_l16(samples[at : at + FRAME], order) for at in range(0, len(samples), FRAME)]


@BOTH_ORDERS
@pytest.mark.parametrize("level", [1.0, 0.1, 0.02], ids=["as-recorded", "20-dB-down", "34-dB-down"])
def test_speech_is_read_in_its_order(order: ByteOrder, level: float) -> None:
    """From its first audible frame on, loud or quiet: not one sample of it comes out swapped."""
    samples = (speech() * level).astype(np.int16)
    decoder = UnknownOrderDecoder(16_000)
    for n, payload in enumerate(frames(samples, order)):
        sent = samples[n * FRAME : (n + 1) * FRAME]
        decoded = decoder.decode(payload)
        if np.abs(sent.astype(int)).mean() >= 64:
            np.testing.assert_array_equal(decoded, sent)
    assert decoder.order == order


@BOTH_ORDERS
def test_speech_that_came_over_a_phone(order: ByteOrder) -> None:
    """μ-law has coarse steps, whose low bytes are not noise: the order is found all the same."""
    decoder = UnknownOrderDecoder(8_000)
    heard = np.concatenate([decoder.decode(payload) for payload in frames(phone(), order)])
    assert decoder.order == order
    np.testing.assert_array_equal(heard, phone())


@BOTH_ORDERS
def test_the_noise_of_a_line(order: ByteOrder) -> None:
    """While nobody speaks there is nothing to go by but loudness: noise stays quiet, and decides nothing."""
    rng = np.random.default_rng(7)
    noise = rng.integers(-4, 5, 16_000).astype(np.int16)
    decoder = UnknownOrderDecoder(16_000)
    heard = np.concatenate([decoder.decode(payload) for payload in frames(noise, order)])
    np.testing.assert_array_equal(heard, noise)
    for payload in frames(speech(), "big"):
        decoder.decode(payload)
    assert decoder.order == "big"


def test_once_sure_it_stays() -> None:
    """Once speech has been heard, nothing that follows changes the order."""
    decoder = UnknownOrderDecoder(16_000)
    for payload in [*frames(speech(), "big"), *frames(speech(), "little"), *frames(speech(), "little")]:
        decoder.decode(payload)
    assert decoder.order == "big"


def test_half_samples() -> None:
    """A payload may end within a sample, before the order is known too; a loss drops the half."""
    wire = encode_l16(speech(), "big")
    decoder = UnknownOrderDecoder(16_000)
    heard = [decoder.decode(wire[at : at + 641]) for at in range(0, len(wire), 641)]
    np.testing.assert_array_equal(np.concatenate(heard), speech())
    assert decoder.count(b"\x00" * 3) == 1
    decoder.decode(b"\x00")
    decoder.lost()
    assert decoder.count(b"\x00" * 2) == 1


@given(payloads=st.lists(st.binary(max_size=700), max_size=8))
def test_any_bytes_are_samples(payloads: list[bytes]) -> None:
    """Nothing is refused, and `count` tells beforehand what `decode` gives."""
    decoder = UnknownOrderDecoder(8_000)
    for payload in payloads:
        assert decoder.count(payload) == len(decoder.decode(payload))
