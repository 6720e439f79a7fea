"""Whose voice a window is, while the call goes on: online clustering with names that stay.

Windows that are much alike make a group; groups are put together into speakers again after each window. So a speaker's
name hangs on its groups, not on the order in which they were found, and an early mistake can be put right.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Final

import numpy as np

from bridge.model.likeness import Likeness, Vector
from bridge.speakers.grouping import (
    Labels,
    Vectors,
    Weights,
    absorb,
    agglomerate,
    as_two,
    directions,
    grouped,
    nearest,
    totals,
)
from bridge.speakers.kept import KeptWindows

MOST_GROUPS: Final = 48
"""Of one leg: the two most alike are joined when there are more."""


LEAST_SHARE: Final = 0.02
LEAST_AT_MOST_S: Final = 60.0
"""A speaker has this share of a long call's speech, or has spoken for so long: noise piles up with the hours."""

LITTLE_S: Final = 20.0
"""Who has been heard for less may sound like two: a mood makes as much of a difference as another voice."""

KNOWN_AFTER_S: Final = 3.0
"""How much of a speaker must be heard before a known voice is seen in it."""


class Voices:
    """One leg. Windows are numbered from 0 in the order they were heard."""

    def __init__(self, likeness: Likeness) -> None:
        self._likeness = likeness
        self._sums: list[Vector] = []
        self._seconds: list[float] = []
        self._names: list[str | None] = []
        """Of each group."""
        self._ids: list[int] = []
        """Of each group, in the order they were made."""
        self._kept = KeptWindows()
        self.known: Mapping[str, Vector] = {}
        """Voices that have a name of their own."""
        self.told: frozenset[str] = frozenset()
        """Names that an earlier process has given: for whom it gave them, and nobody else."""

    def hear(self, voice: Vector, seconds: float, told: str | None = None) -> bool:
        """A window says so much that no other did; `told` is who an earlier process said it is. True when an earlier
        window's speaker is another one now.
        """
        before = list(self._names)
        self._kept.add(voice, seconds, self._place(voice, seconds, told))
        if len(self._sums) > MOST_GROUPS:
            self._join_closest()
        self._name()
        return any(old is not None and old != new for old, new in zip(before, self._names, strict=False))

    def speakers(self) -> frozenset[str]:
        """All there are now."""
        return frozenset(name for name in self._names if name is not None)

    def speaker(self, window: int) -> str:
        """Who speaks in a window, as far as is known now."""
        return self._name_of(self._kept.group(window))

    def whole(self, *, keep_names: bool = True) -> list[str]:
        """Who speaks in each window, all of them compared with each other.

        A speaker keeps the name it is known by; otherwise names are in the order the speakers are heard.
        """
        sums, seconds = self._kept.sums, self._kept.seconds
        labels = grouped(sums, join=self._likeness.join, same=self._likeness.same)
        labels = nearest(sums, self._weighed(sums, seconds, labels))
        held = [self._name_of(int(group)) if keep_names else None for group in self._kept.groups]
        told = self.told if keep_names else frozenset()
        names = _matched(labels, held, seconds, self._recognised(sums, labels, seconds), told)
        return [names[int(label)] for label in labels[self._kept.row_of]]

    def _least_s(self) -> float:
        """How much speech makes a speaker."""
        return max(self._likeness.least_ms / 1000, min(LEAST_SHARE * sum(self._seconds), LEAST_AT_MOST_S))

    def _place(self, voice: Vector, seconds: float, told: str | None) -> int:
        """The id of the group that a window is put into."""
        if self._sums:
            alike = directions(np.array(self._sums)) @ voice
            most = int(alike.argmax())
            if alike[most] >= self._likeness.join:
                self._sums[most] = self._sums[most] + voice
                self._seconds[most] += seconds
                if told is not None and self._names[most] not in self.told:
                    self._names[most] = told
                return self._ids[most]
        self._sums.append(np.array(voice, np.float32))
        self._seconds.append(seconds)
        self._names.append(told)
        self._ids.append(self._ids[-1] + 1 if self._ids else 0)
        return self._ids[-1]

    def _join_closest(self) -> None:
        units = directions(np.array(self._sums))
        alike = units @ units.T
        np.fill_diagonal(alike, -np.inf)
        one, other = sorted(int(place) for place in np.unravel_index(alike.argmax(), alike.shape))
        self._sums[one] = self._sums[one] + self._sums[other]
        self._seconds[one] += self._seconds[other]
        self._names[one] = self._names[one] or self._names[other]
        self._kept.join(self._ids[one], self._ids[other])
        del self._sums[other], self._seconds[other], self._names[other], self._ids[other]

    def _name_of(self, group: int) -> str:
        name = self._names[bisect_left(self._ids, group)]
        if name is None:
            raise LookupError(f"group {group} has no name")
        return name

    def _name(self) -> None:
        sums, seconds = np.array(self._sums), np.array(self._seconds, np.float32)
        labels = self._weighed(sums, seconds, agglomerate(sums, self._likeness.same))
        names = _matched(labels, self._names, seconds, self._recognised(sums, labels, seconds), self.told)
        self._names = [names[int(label)] for label in labels]

    def _weighed(self, sums: Vectors, seconds: Weights, labels: Labels) -> Labels:
        """Groups of which enough is heard to be a speaker each."""
        least = self._least_s()
        labels = as_two(sums, seconds, labels, third=self._likeness.third, little=LITTLE_S, least=least)
        return absorb(sums, seconds, labels, least)

    def _recognised(self, sums: Vectors, labels: Labels, weights: Weights) -> dict[int, str]:
        """Labels that are a known voice, each the one it is most like."""
        if not self.known:
            return {}
        names = list(self.known)
        alike = directions(totals(sums, labels)) @ np.array([self.known[name] for name in names]).T
        alike[np.bincount(labels, weights) < KNOWN_AFTER_S] = -1
        found: dict[int, str] = {}
        for place in np.argsort(-alike, axis=None):
            label, number = divmod(int(place), len(names))
            if alike[label, number] < self._likeness.known:
                break
            if label not in found and names[number] not in found.values():
                found[label] = names[number]
        return found


def _matched(
    labels: Labels,
    held: Sequence[str | None],
    weights: Weights,
    recognised: Mapping[int, str],
    told: frozenset[str],
) -> Mapping[int, str]:
    """A name for each label: a known voice's; else the one that most of it has been known by, each given once; else a
    new one, none of `told`.
    """
    claims: dict[tuple[str, int], float] = {}
    for label, name, weight in zip(labels, held, weights, strict=True):
        if name is not None:
            claims[name, int(label)] = claims.get((name, int(label)), 0.0) + float(weight)
    names = dict(recognised)
    for name, label in sorted(claims, key=lambda claim: (-claims[claim], claim)):
        if label not in names and name not in names.values():
            names[label] = name
    taken = {name for name in held if name is not None} | told
    free = (name for number in count(1) if (name := f"S{number}") not in taken)
    for label in dict.fromkeys(map(int, labels)):
        if label not in names:
            names[label] = next(free)
    return names
