"""Channels that travel in one payload."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bridge.ingest.interleaved import apart


@given(
    turns=st.integers(0, 60),
    channels=st.integers(1, 4),
    sample=st.sampled_from([np.uint8, np.int16]),
    cuts=st.lists(st.integers(0, 500), max_size=6),
)
def test_any_cutting_gives_the_same_channels(turns: int, channels: int, sample: Any, cuts: list[int]) -> None:
    """Each channel is whole and in order, wherever the run was cut, and nothing is left over."""
    samples = np.arange(turns * channels, dtype=sample).reshape(-1, channels)
    run = samples.tobytes()
    edges = [0, *sorted(min(cut, len(run)) for cut in cuts), len(run)]
    heard, held = [b""] * channels, b""
    for begin, end in itertools.pairwise(edges):
        payloads, held = apart(held + run[begin:end], channels, samples.itemsize)
        heard = [before + payload for before, payload in zip(heard, payloads, strict=True)]
    assert heard == [samples[:, channel].tobytes() for channel in range(channels)]
    assert held == b""
