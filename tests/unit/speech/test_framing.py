"""Streams cut into windows."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bridge.speech.framing import Framer


@given(sizes=st.lists(st.integers(0, 700), max_size=20), size=st.integers(1, 512))
def test_windows_hold_every_sample_once_and_in_order(sizes: list[int], size: int) -> None:
    """Whatever the runs, the windows are the stream, padded with silence at its end."""
    stream = np.arange(1, sum(sizes) + 1, dtype=np.float32)
    framer = Framer(size)
    edges = np.cumsum([0, *sizes])
    windows = [framer.push(stream[start:end]) for start, end in pairwise(edges)]
    out = np.concatenate([*windows, framer.flush()])
    assert out.shape == (-(-len(stream) // size), size)
    assert np.array_equal(out.reshape(-1)[: len(stream)], stream)
    assert not out.reshape(-1)[len(stream) :].any()
    assert len(framer.flush()) == 0
