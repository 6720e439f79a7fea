"""Where tokens begin: the cheapest path through what the decoder looked at."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from bridge.recognise.word_times import _path, token_starts


def cheapest(costs: np.ndarray) -> list[int]:
    """By trying every way: where each row begins."""
    rows, columns = costs.shape
    best, starts = np.inf, []
    for steps in itertools.product([(0, 1), (1, 0), (1, 1)], repeat=rows + columns - 2):
        at, sum_, entered = (0, 0), costs[0, 0], [0]
        for down, right in steps:
            if at == (rows - 1, columns - 1):
                break
            at = at[0] + down, at[1] + right
            if at[0] >= rows or at[1] >= columns:
                break
            sum_ += costs[at]
            entered += [at[1]] * down
        if at == (rows - 1, columns - 1) and sum_ < best:
            best, starts = sum_, entered
    return starts


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("shape", [(1, 4), (2, 5), (3, 3), (4, 3)])
def test_the_path_is_the_cheapest(shape: tuple[int, int], seed: int) -> None:
    """None of all ways costs less."""
    costs = np.random.default_rng(seed).normal(size=shape)
    assert _path(costs).tolist() == cheapest(costs)


def looks(spans: list[tuple[int, int]], states: int) -> np.ndarray:
    """Attention of one head: each token looks at its own span."""
    attention = np.full((1, len(spans), states), 0.001, np.float32)
    for token, (begin, end) in enumerate(spans):
        attention[0, token, begin:end] = 1.0
    return attention


def test_tokens_begin_where_the_decoder_looked() -> None:
    """To within what smoothing takes; what stands in front counts for nothing but the norm."""
    spans = [(0, 3), (5, 20), (20, 45), (45, 60), (60, 80)]
    starts = token_starts(looks(spans, 80), 1)
    assert starts.tolist() == pytest.approx([0, 20, 45, 60], abs=3)


@pytest.mark.parametrize("states", [1, 2, 5])
def test_windows_shorter_than_what_is_smoothed(states: int) -> None:
    """Have their times, too, all inside."""
    starts = token_starts(np.ones((2, 4, states), np.float32), 1)
    assert len(starts) == 3
    assert 0 <= starts.min() <= starts.max() < states
