"""A leg's windows for the pass at its end, in bounded memory: what was heard long ago is kept by the handful.

A row is the sum of windows of one group. When there is no room for another, the lighter ones of the older rows are put
together, two and two of one group. So what was heard lately is kept window by window, and hours of it more coarsely.
"""

from __future__ import annotations

from array import array
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from bridge.model.likeness import Vector

MOST_ROWS: Final = 4096
"""1.6 MB. Half an hour of speech, window by window."""

Seconds: TypeAlias = npt.NDArray[np.float32]
Groups: TypeAlias = npt.NDArray[np.int32]


class KeptWindows:
    """Windows are numbered from 0 in the order they come; rows are in the order of their first windows."""

    def __init__(self) -> None:
        self._row_of = array("i")
        """Of each window."""
        self._sums = np.zeros((0, 0), np.float16)
        self._seconds: Seconds = np.zeros(MOST_ROWS, np.float32)
        self._groups: Groups = np.zeros(MOST_ROWS, np.int32)
        self._rows = 0

    def __len__(self) -> int:
        """How many windows there are."""
        return len(self._row_of)

    @property
    def sums(self) -> npt.NDArray[np.float32]:
        """Of each row: shape (rows, d)."""
        return self._sums[: self._rows].astype(np.float32)

    @property
    def seconds(self) -> Seconds:
        """Of each row: how much speech it says something about that no other does."""
        return self._seconds[: self._rows]

    @property
    def groups(self) -> Groups:
        """Of each row."""
        return self._groups[: self._rows]

    @property
    def row_of(self) -> npt.NDArray[np.int32]:
        """Of each window."""
        return np.array(self._row_of, np.int32)

    def group(self, window: int) -> int:
        """Which group a window belongs to now."""
        return int(self._groups[self._row_of[window]])

    def add(self, voice: Vector, seconds: float, group: int) -> None:
        if not self._rows:
            self._sums = np.zeros((MOST_ROWS, len(voice)), np.float16)
        elif self._rows == MOST_ROWS:
            self._fold()
        self._sums[self._rows], self._seconds[self._rows], self._groups[self._rows] = voice, seconds, group
        self._row_of.append(self._rows)
        self._rows += 1

    def join(self, one: int, other: int) -> None:
        """A group's windows become another's."""
        self._groups[self._groups == other] = one

    def _fold(self) -> None:
        older = np.arange(MOST_ROWS // 2)
        light = older[self._seconds[older] <= np.median(self._seconds[older])]
        into = np.arange(MOST_ROWS)
        for group in np.unique(self._groups[light]):
            members = light[self._groups[light] == group]
            pairs = len(members) // 2 * 2
            into[members[1:pairs:2]] = members[:pairs:2]
        gone = np.flatnonzero(into != np.arange(MOST_ROWS))
        np.add.at(self._sums, into[gone], self._sums[gone])
        np.add.at(self._seconds, into[gone], self._seconds[gone])
        stays = into == np.arange(MOST_ROWS)
        self._rows = int(stays.sum())
        for held in (self._sums, self._seconds, self._groups):
            held[: self._rows] = held[stays]
        place = np.cumsum(stays) - 1
        self._row_of = array("i", place[into][self.row_of].astype(np.int32).tobytes())
