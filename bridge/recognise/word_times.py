"""When each token was said, from where the decoder looked: dynamic time warping over the cross-attention.

After Whisper's authors (openai/whisper, `timing.py`): heads that follow the speech, normalised over tokens, smoothed
over frames, averaged, and the cheapest path through them.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from bridge.recognise.model_file import Weights

SMOOTHED: Final = 7
"""States of which the median counts."""

LEAST: Final = 1e-9


def token_starts(attention: Weights, first: int) -> npt.NDArray[np.int64]:
    """The state in which each token begins, from `attention` [heads, tokens, states]; tokens before `first` count for
    the normalisation alone.
    """
    shares = attention / np.maximum(attention.sum(axis=2, keepdims=True), LEAST)
    spread = np.maximum(shares.std(axis=1, keepdims=True), LEAST)
    heads = ((shares - shares.mean(axis=1, keepdims=True)) / spread)[:, first:]
    return _path(-_smooth(heads).mean(axis=0, dtype=np.float64))


def _smooth(heads: Weights) -> Weights:
    side = min(SMOOTHED // 2, heads.shape[2] - 1)
    padded = np.pad(heads, ((0, 0), (0, 0), (side, side)), "reflect")
    views = np.lib.stride_tricks.sliding_window_view(padded, 2 * side + 1, axis=2)
    return np.asarray(np.partition(views, side, axis=3)[..., side])


def _path(costs: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Where each row of the cheapest way from the first corner to the last begins: down, right, or both at once."""
    rows, columns = costs.shape
    total = np.empty_like(costs)
    total[0] = np.cumsum(costs[0])
    for row in range(1, rows):
        above = total[row - 1]
        entered = np.minimum(above, np.concatenate([[np.inf], above[:-1]]))
        summed = np.cumsum(costs[row])
        # Entering at k and going right to j costs entered[k] + summed[j] - summed[k - 1].
        total[row] = np.minimum.accumulate(entered - summed + costs[row]) + summed
    starts = np.zeros(rows, np.int64)
    row, column = rows - 1, columns - 1
    while row:
        from_left = total[row, column - 1] if column else np.inf
        above = total[row - 1, column]
        both = total[row - 1, column - 1] if column else np.inf
        if from_left < min(above, both):
            column -= 1
        else:
            starts[row] = column
            row -= 1
            column -= both <= above
    return starts
