"""The reorder buffer, as (what came, what went on) tables and against random lines."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcodecs.jitter import CAPACITY, ReorderBuffer, ReorderCounts

LENGTH = 20
PATIENCE = 100
"""Five packets."""


def through(sequences: list[int], patience: int = PATIENCE) -> tuple[list[tuple[int, int]], ReorderCounts]:
    buffer: ReorderBuffer[int] = ReorderBuffer(patience)
    out = [released for sequence in sequences for released in buffer.push(sequence, LENGTH, sequence)]
    return out + buffer.flush(), buffer.counts


@pytest.mark.parametrize(
    ("came", "went", "counts"),
    [
        pytest.param([1, 2, 3], [(0, 1), (0, 2), (0, 3)], ReorderCounts(), id="in-order"),
        pytest.param([7, 8], [(0, 7), (0, 8)], ReorderCounts(), id="starts-anywhere"),
        pytest.param([1, 3, 2, 4], [(0, 1), (0, 2), (0, 3), (0, 4)], ReorderCounts(), id="swapped"),
        pytest.param([1, 2, 2, 3], [(0, 1), (0, 2), (0, 3)], ReorderCounts(duplicate=1), id="twice"),
        pytest.param([1, 3, 3, 2], [(0, 1), (0, 2), (0, 3)], ReorderCounts(duplicate=1), id="twice-while-held"),
        pytest.param([1, 4], [(0, 1), (2, 4)], ReorderCounts(missing=2), id="hole-at-the-end"),
        pytest.param(
            [1, 3, 4, 5, 6, 7, 8, 9],
            [(0, 1), (1, 3), *((0, n) for n in range(4, 10))],
            ReorderCounts(missing=1),
            id="hole-given-up",
        ),
        pytest.param(
            [1, 3, 4, 5, 6, 7, 8, 2, 9],
            [(0, 1), (1, 3), *((0, n) for n in range(4, 10))],
            ReorderCounts(missing=1, late=1),
            id="too-late",
        ),
        pytest.param(
            [65534, 65535, 0, 1],
            [(0, 65534), (0, 65535), (0, 0), (0, 1)],
            ReorderCounts(),
            id="wraps-as-rtp",
        ),
        pytest.param(
            [65534, 0, 65535, 2],
            [(0, 65534), (0, 65535), (0, 0), (1, 2)],
            ReorderCounts(missing=1),
            id="swapped-over-the-wrap",
        ),
        pytest.param(
            [65535, 65536, 65538, 65537],
            [(0, 65535), (0, 65536), (0, 65537), (0, 65538)],
            ReorderCounts(),
            id="wider-counter-goes-on",
        ),
        pytest.param([1, 40_000, 2], [(0, 1), (0, 2)], ReorderCounts(stray=1), id="stray"),
        pytest.param(
            [1, 2, 40_000, 40_001, 40_002],
            [(0, 1), (0, 2), (0, 40_000), (0, 40_001), (0, 40_002)],
            ReorderCounts(),
            id="counts-anew",
        ),
        pytest.param(
            [1, 3, 30_000, 30_001],
            [(0, 1), (1, 3), (0, 30_000), (0, 30_001)],
            ReorderCounts(missing=1),
            id="counts-anew-behind-a-hole",
        ),
    ],
)
def test_order(came: list[int], went: list[tuple[int, int]], counts: ReorderCounts) -> None:
    """Each item goes on once, in order, with the number of those missing before it."""
    assert through(came) == (went, counts)


def test_what_is_next_is_not_held() -> None:
    """In-order packets go through at once; a hole holds what follows no longer than `patience` of audio."""
    buffer: ReorderBuffer[int] = ReorderBuffer(PATIENCE)
    assert buffer.push(1, LENGTH, 1) == [(0, 1)]
    assert [len(buffer.push(n, LENGTH, n)) for n in range(3, 9)] == [0, 0, 0, 0, 0, 6]


def test_empty_packets_fill_no_memory() -> None:
    """Packets without audio are held up to a number, whatever the patience."""
    buffer: ReorderBuffer[int] = ReorderBuffer(PATIENCE)
    buffer.push(0, 0, 0)
    held = 0
    for sequence in range(2, 3 * CAPACITY):
        held += 1 - len(buffer.push(sequence, 0, sequence))
        assert held <= CAPACITY + 1


@given(
    seed=st.integers(0, 2**32),
    first=st.sampled_from([0, 1, 65_000, 2**32 - 100]),
    loss=st.sampled_from([0.0, 0.01, 0.05, 0.2]),
    wrap=st.sampled_from([2**16, 2**32]),
)
def test_a_bad_line_loses_only_what_it_lost(seed: int, first: int, loss: float, wrap: int) -> None:
    """Loss, duplication and reordering within the patience: each packet that came goes on once, the rest is named."""
    line = np.random.default_rng(seed)
    sent = [n for n in range(300) if n == 0 or line.random() > loss]
    twice = sent + [n for n in sent if n and line.random() < 0.05]
    came = sorted(twice, key=lambda n: n + (line.uniform(0, 4) if n else 0))
    buffer: ReorderBuffer[int] = ReorderBuffer(PATIENCE * 4)
    out = [item for n in came for item in buffer.push((first + n) % wrap, LENGTH, n)] + buffer.flush()
    assert [n for _, n in out] == sent
    assert sum(missing for missing, _ in out) == sent[-1] + 1 - len(sent) == buffer.counts.missing
    assert buffer.counts.duplicate == len(came) - len(sent)


@given(st.lists(st.tuples(st.integers(-(2**40), 2**40), st.integers(0, 10**6)), max_size=60))
def test_any_numbers_are_taken(pushed: list[tuple[int, int]]) -> None:
    """Whatever a carrier counts, nothing raises, and no item goes on twice."""
    buffer: ReorderBuffer[int] = ReorderBuffer(PATIENCE)
    out = [i for index, (number, length) in enumerate(pushed) for _, i in buffer.push(number, length, index)]
    out += [i for _, i in buffer.flush()]
    assert len(out) == len(set(out))
