"""L16 of both byte orders, in pieces of any size."""

from __future__ import annotations

import struct
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcodecs.l16 import ByteOrder, L16Decoder, encode_l16

SAMPLES = [0, 1, -1, 256, -32768, 32767]


@pytest.mark.parametrize(("order", "code"), [("little", "<"), ("big", ">")])
def test_both_orders(order: ByteOrder, code: str) -> None:
    """The bytes are those that `struct` makes, there and back."""
    wire = struct.pack(f"{code}6h", *SAMPLES)
    assert L16Decoder(order, 16_000).decode(wire).tolist() == SAMPLES
    assert encode_l16(np.array(SAMPLES, dtype=np.int16), order) == wire


@given(samples=st.lists(st.integers(-32768, 32767), max_size=50), cuts=st.lists(st.integers(0, 100), max_size=8))
def test_any_cutting_gives_the_same_samples(samples: list[int], cuts: list[int]) -> None:
    """A payload may end within a sample; `count` tells beforehand what `decode` gives."""
    wire = struct.pack(f">{len(samples)}h", *samples)
    edges = [0, *sorted(min(cut, len(wire)) for cut in cuts), len(wire)]
    decoder = L16Decoder("big", 16_000)
    heard: list[int] = []
    for begin, end in pairwise(edges):
        expected = decoder.count(wire[begin:end])
        decoded = decoder.decode(wire[begin:end])
        assert len(decoded) == expected
        heard += decoded.tolist()
    assert heard == samples


def test_a_loss_drops_the_half_sample() -> None:
    """What follows a loss begins with a whole sample."""
    decoder = L16Decoder("little", 8_000)
    assert decoder.decode(b"\x01\x00\x02").tolist() == [1]
    decoder.lost()
    assert decoder.decode(b"\x03\x00").tolist() == [3]
