"""Vectors put together by how alike they are."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.speakers.grouping import absorb, agglomerate, as_two, directions, grouped, nearest, totals

RNG = np.random.default_rng(7)


def _around(centre: int, count: int, *, noise: float = 0.02) -> np.ndarray:
    vectors = np.eye(12, dtype=np.float32)[centre] + RNG.normal(0, noise, (count, 12)).astype(np.float32)
    return directions(vectors)


def test_what_is_alike_becomes_one_group_and_what_is_not_stays_apart() -> None:
    vectors = np.concatenate([_around(0, 5), _around(3, 4), _around(0, 2)])
    labels = agglomerate(vectors, 0.7)
    assert labels.tolist() == [labels[0]] * 5 + [labels[5]] * 4 + [labels[0]] * 2
    assert labels[0] != labels[5]


def test_a_group_is_as_like_another_as_their_sums_are() -> None:
    """Either is 0.71 like the one between them; once that is joined to one, the other is 0.38 like the two."""
    a, b = np.eye(2, dtype=np.float32)
    between = directions((a + b)[None])[0]
    labels = agglomerate(np.array([a, between, b]), 0.5)
    assert len(set(labels.tolist())) == 2


def test_nothing_and_one_are_grouped_too() -> None:
    assert agglomerate(np.zeros((0, 4), np.float32), 0.5).tolist() == []
    assert agglomerate(_around(1, 1), 0.5).tolist() == [0]


def test_joining_is_as_exact_as_comparing_all_with_all_each_time() -> None:
    vectors = directions(RNG.normal(0, 1, (40, 6)).astype(np.float32))
    assert _sets(agglomerate(vectors, 0.6)) == _slowly(vectors, 0.6)


def _sets(labels: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in set(labels.tolist())}


def _slowly(vectors: np.ndarray, same: float) -> set[frozenset[int]]:
    groups = [[n] for n in range(len(vectors))]
    while True:
        units = directions(np.array([vectors[group].sum(axis=0) for group in groups]))
        alike = units @ units.T
        np.fill_diagonal(alike, -9)
        one, other = sorted(int(at) for at in np.unravel_index(alike.argmax(), alike.shape))
        if len(groups) < 2 or alike[one, other] < same:
            break
        groups[one] += groups.pop(other)
    return {frozenset(group) for group in groups}


def test_a_light_group_goes_to_the_heavy_one_that_is_most_like_it() -> None:
    sums = np.concatenate([_around(0, 3), _around(1, 3), directions(np.float32([[1.0, 0.4] + [0.0] * 10]))])
    labels = absorb(sums, np.ones(7, np.float32), np.array([0, 0, 0, 1, 1, 1, 2]), least=2)
    assert labels.tolist() == [0, 0, 0, 1, 1, 1, 0]


def test_when_all_groups_are_light_the_heaviest_takes_them() -> None:
    labels = absorb(_around(0, 3), np.float32([0.2, 0.3, 0.1]), np.array([0, 1, 2]), least=2)
    assert labels.tolist() == [0, 0, 0]


MOODS = np.array([[1, 0, 0, 0], [0.5, 0.866, 0, 0], [0, 0, 1, 0], [0, 0, 0.5, 0.866]], np.float32)
"""One person calm and cross, and another: either is 0.5 like the same, and nothing like the other."""


@pytest.mark.parametrize(
    ("weights", "third", "groups"),
    [
        pytest.param([3, 3, 3, 3], 0.45, 2, id="two-people-in-two-moods"),
        pytest.param([3, 3, 3, 3], 0.55, 4, id="not-alike-enough"),
        pytest.param([1, 1, 1, 1], 0.45, 2, id="who-is-heard-enough-only-with-both-moods"),
        pytest.param([3, 1, 3, 1], 0.45, 4, id="two-already"),
        pytest.param([20, 20, 20, 20], 0.45, 4, id="much-is-heard-of-each"),
        pytest.param([20, 3, 20, 20], 0.45, 3, id="little-of-one"),
    ],
)
def test_a_line_has_two_parties_unless_much_is_heard_of_a_third(
    weights: list[float], third: float, groups: int
) -> None:
    labels = as_two(MOODS, np.array(weights, np.float32), np.arange(4), third=third, little=20, least=2)
    assert len(set(labels.tolist())) == groups
    assert labels[0] != labels[2]
    assert (labels[0] == labels[1]) == (groups < 4)


def test_who_is_alike_does_not_become_one_because_of_noise() -> None:
    """Three voices 0.5 alike and a cough: two are left that weigh enough, whatever else there is."""
    voices = np.array([[1, 0, 0, 0], [0.5, 0.866, 0, 0], [0.5, 0.289, 0.816, 0], [0, 0, 0, 1]], np.float32)
    labels = as_two(voices, np.array([5, 5, 5, 0.5], np.float32), np.arange(4), third=0.45, little=20, least=2)
    assert len(set(labels.tolist())) == 3
    assert len(set(labels[:3].tolist())) == 2


def test_three_who_have_nothing_in_common_stay_three() -> None:
    three = np.eye(3, dtype=np.float32)
    labels = as_two(three, np.full(3, 2, np.float32), np.arange(3), third=0.45, little=20, least=1)
    assert labels.tolist() == [0, 1, 2]


def test_a_vector_in_the_wrong_group_finds_the_right_one() -> None:
    vectors = np.concatenate([_around(0, 4), _around(1, 4)])
    assert nearest(vectors, np.array([0, 0, 0, 1, 1, 1, 1, 1])).tolist() == [0] * 4 + [1] * 4


def test_more_vectors_than_are_compared_in_one_go_are_grouped_all_the_same() -> None:
    turns = RNG.integers(0, 3, 1500)
    vectors = np.concatenate([_around(int(turn), 1) for turn in turns])
    labels = grouped(vectors, join=0.9, same=0.7)
    assert len(set(labels.tolist())) == 3
    assert all(len(set(labels[turns == turn].tolist())) == 1 for turn in range(3))


def test_the_sum_of_each_group() -> None:
    assert totals(np.float32([[1, 0], [0, 1], [2, 0]]), np.array([0, 1, 0])).tolist() == [[3, 0], [0, 1]]
