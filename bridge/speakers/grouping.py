"""Voices that are alike, put together: agglomerative clustering of unit vectors by the cosine of their groups' sums.

A group is known by the sum of its members, so that joining two is adding, and a group's direction is the less noisy
the more it has heard. All functions are pure.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Vectors: TypeAlias = npt.NDArray[np.float32]
"""Shape (n, d)."""

Labels: TypeAlias = npt.NDArray[np.intp]
"""Shape (n,), numbered from 0."""

Weights: TypeAlias = npt.NDArray[np.float32]
"""Shape (n,)."""

_NEVER: Final = np.float32(-9)

_BLOCK: Final = 512
"""Vectors compared with each other in one go."""


def directions(sums: Vectors) -> Vectors:
    """Each row at length 1; a row of zeros stays one."""
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    units: Vectors = (sums / np.maximum(lengths, 1e-9)).astype(np.float32)
    return units


def agglomerate(sums: Vectors, same: float) -> Labels:
    """Join the two most alike groups, again and again, until none are as alike as `same`. Quadratic in n."""
    merging = _Merging(sums)
    while merging.join_closest(same):
        pass
    return np.unique(merging.labels, return_inverse=True)[1]


def grouped(vectors: Vectors, *, join: float, same: float) -> Labels:
    """`agglomerate` for any number of vectors: neighbours in time that are as alike as `join` are joined first."""
    labels = np.zeros(0, np.intp)
    for begin in range(0, len(vectors), _BLOCK):
        block = agglomerate(vectors[begin : begin + _BLOCK], join)
        labels = np.concatenate([labels, block + labels.max(initial=-1) + 1])
    return agglomerate(totals(vectors, labels), same)[labels] if len(labels) else labels


class _Merging:
    """Groups that shrink in number; each knows which other is most like it, so that a join costs a row, not a table."""

    def __init__(self, sums: Vectors) -> None:
        self._sums = np.array(sums, np.float32)
        self._units = directions(self._sums)
        self._alike = self._units @ self._units.T
        np.fill_diagonal(self._alike, _NEVER)
        self._rows = np.arange(len(sums))
        self._best = self._alike.argmax(axis=1) if len(sums) else self._rows
        self.labels = self._rows.copy()

    def join_closest(self, same: float) -> bool:
        """False when there is nothing left to join."""
        scores = self._alike[self._rows, self._best]
        if not len(scores) or scores.max() < same:
            return False
        one = int(scores.argmax())
        self._join(one, int(self._best[one]))
        return True

    def _join(self, one: int, other: int) -> None:
        self._sums[one] += self._sums[other]
        self._units[one] = directions(self._sums[one : one + 1])[0]
        self.labels[self.labels == self.labels[other]] = self.labels[one]
        alike, best = self._alike, self._best
        alike[other], alike[:, other] = _NEVER, _NEVER
        alike[one] = np.where(alike[one] == _NEVER, _NEVER, self._units @ self._units[one])
        alike[:, one] = alike[one]
        stale = (best == one) | (best == other)
        stale[one] = True
        best[stale] = alike[stale].argmax(axis=1)
        closer = ~stale & (alike[:, one] > alike[self._rows, best])
        best[closer] = one


def as_two(sums: Vectors, weights: Weights, labels: Labels, *, third: float, little: float, least: float) -> Labels:
    """Join the most alike groups, again and again, until just two weigh `least`, none are as alike as `third`, or both
    weigh `little` and more.
    """
    weighed = np.bincount(labels, weights)
    joined, left = totals(sums, labels), list(range(len(weighed)))
    while len(left) > 2 and np.count_nonzero(weighed[left] >= least) != 2:
        units = directions(joined[left])
        alike = units @ units.T
        alike[np.minimum.outer(weighed[left], weighed[left]) >= little] = _NEVER
        np.fill_diagonal(alike, _NEVER)
        one, other = (left[int(place)] for place in np.unravel_index(alike.argmax(), alike.shape))
        if alike.max() < third:
            break
        joined[one] += joined[other]
        weighed[one] += weighed[other]
        labels = np.where(labels == other, one, labels)
        left.remove(other)
    return np.unique(labels, return_inverse=True)[1]


def absorb(sums: Vectors, weights: Weights, labels: Labels, least: float) -> Labels:
    """Give each member of a group that weighs less than `least` to the most alike group that does not.

    When all are light, the heaviest takes the rest.
    """
    weighed = np.bincount(labels, weights)
    heavy = np.flatnonzero(weighed >= least)
    if not len(heavy):
        heavy = np.array([weighed.argmax()])
    centres = directions(totals(sums, labels)[heavy])
    nearest = heavy[(directions(sums) @ centres.T).argmax(axis=1)]
    return np.unique(np.where(np.isin(labels, heavy), labels, nearest), return_inverse=True)[1]


def nearest(vectors: Vectors, labels: Labels, *, rounds: int = 3) -> Labels:
    """Give each vector to the most alike group, a few times over: what joined early may belong elsewhere by now."""
    for _ in range(rounds):
        labels = (directions(vectors) @ directions(totals(vectors, labels)).T).argmax(axis=1)
    return np.unique(labels, return_inverse=True)[1]


def totals(sums: Vectors, labels: Labels) -> Vectors:
    """The sum of each group: shape (groups, d)."""
    found = np.zeros((int(labels.max(initial=-1)) + 1, sums.shape[1]), np.float32)
    np.add.at(found, labels, sums)
    return found
