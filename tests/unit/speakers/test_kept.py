"""A leg's windows in bounded memory."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.speakers import kept as kept_module
from bridge.speakers.kept import KeptWindows
from tests.voices import voice

ROWS = 64


@pytest.fixture(autouse=True)
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_module, "MOST_ROWS", ROWS)


def _kept(windows: int, groups: int) -> KeptWindows:
    """Window n belongs to group n % `groups`, whose voice has that number, too."""
    kept = KeptWindows()
    for number in range(windows):
        kept.add(voice(number % groups), 0.5, number % groups)
    return kept


def test_as_long_as_there_is_room_each_window_is_kept_by_itself() -> None:
    kept = _kept(ROWS, 3)
    assert list(kept.row_of) == list(range(ROWS))
    assert np.array_equal(kept.sums[:3], [voice(0), voice(1), voice(2)])


@pytest.mark.parametrize("windows", [ROWS + 1, 5 * ROWS, 100 * ROWS + 7])
@pytest.mark.parametrize("groups", [1, 3, 10])
def test_however_many_there_are_rows_are_bounded_and_nothing_is_lost(windows: int, groups: int) -> None:
    kept = _kept(windows, groups)
    assert len(kept) == windows
    assert len(kept.sums) == len(kept.seconds) == len(kept.groups) <= ROWS
    assert kept.seconds.sum() == 0.5 * windows
    assert [kept.group(window) for window in range(windows)] == [window % groups for window in range(windows)]
    for number in range(groups):
        mine = kept.sums[kept.groups == number].sum(axis=0)
        assert np.array_equal(mine, kept.seconds[kept.groups == number].sum() * 2 * voice(number))


def test_what_was_heard_lately_is_kept_window_by_window() -> None:
    kept = _kept(100 * ROWS, 2)
    assert len(set(kept.row_of[-ROWS // 4 :])) == ROWS // 4


def test_no_time_is_kept_much_more_coarsely_than_another() -> None:
    """A row of the oldest does not grow into all of the past."""
    kept = _kept(20 * ROWS, 2)
    assert np.bincount(kept.row_of).max() <= 20 * ROWS // 8


def test_rows_stay_in_the_order_of_their_first_windows() -> None:
    kept = _kept(7 * ROWS, 3)
    first = [int(np.flatnonzero(kept.row_of == row)[0]) for row in range(len(kept.sums))]
    assert first == sorted(first)


def test_a_group_that_becomes_part_of_another_takes_its_windows_along() -> None:
    kept = _kept(9, 3)
    kept.join(0, 2)
    assert [kept.group(window) for window in range(9)] == [0, 1, 0] * 3
