"""How many replicas there should be, by how late decodes are."""

from __future__ import annotations

import pytest

from bridge.recognise.growth import lateness, replicas_wanted


@pytest.mark.parametrize(
    ("current", "late_s", "pressure", "wanted"),
    [
        pytest.param(4, 0.0, 0.6, 4, id="busy-and-in-time-stays"),
        pytest.param(4, 0.1, 0.6, 4, id="a-little-late-is-no-reason"),
        pytest.param(4, 0.25, 0.6, 6, id="late-grows-by-half"),
        pytest.param(4, 5.0, 1.0, 8, id="very-late-doubles-and-no-more"),
        pytest.param(1, 0.3, 1.0, 2, id="one-becomes-two"),
        pytest.param(4, 0.0, 0.8, 5, id="nearly-full-takes-one-more"),
        pytest.param(10, 0.0, 1.0, 15, id="full-takes-more"),
        pytest.param(4, 0.0, 0.1, 3, id="idle-gives-one-back"),
        pytest.param(2, 0.0, 0.35, 1, id="what-one-can-carry"),
        pytest.param(1, 0.0, 0.0, 1, id="never-below-the-least"),
        pytest.param(16, 9.0, 1.0, 16, id="never-above-the-most"),
    ],
)
def test_what_is_wanted(current: int, late_s: float, pressure: float, wanted: int) -> None:
    """Lateness grows by its size, load by one; idleness gives back one at a time."""
    assert replicas_wanted(current, late_s, pressure, least=1, most=16) == wanted


def test_what_is_coming_is_not_asked_for_again() -> None:
    """A replica takes its time to load; being late meanwhile is no reason for yet another. Nor is one sent back."""
    wanted = [replicas_wanted(4, 0.5, 1.0, least=1, most=99, coming=coming) for coming in range(6)]
    assert wanted == [7, 7, 7, 7, 8, 9]
    assert replicas_wanted(4, 0.0, 0.0, least=1, most=99, coming=2) == 6


@pytest.mark.parametrize(
    ("replicas", "late_s"),
    [([], 0.0), ([0.3], 0.3), ([0.0] * 99 + [5.0], 0.0), ([0.0] * 50 + [0.4] * 50, 0.4), ([0.1, 0.2, 0.3, 0.4], 0.4)],
)
def test_one_late_replica_among_many_is_chance(replicas: list[float], late_s: float) -> None:
    """A quarter of them is not: there are too few."""
    assert lateness(replicas) == late_s


@pytest.mark.parametrize("current", range(2, 40))
def test_what_is_given_back_is_not_asked_for_again(current: int) -> None:
    """The rest carry the load of the one that goes without being full."""
    for percent in range(101):
        pressure = percent / 100
        if replicas_wanted(current, 0.0, pressure, least=1, most=100) < current:
            carried = current * pressure / (current - 1)
            assert replicas_wanted(current - 1, 0.0, carried, least=1, most=100) <= current - 1
