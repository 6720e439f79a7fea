"""What has been told of a leg, kept small."""

from __future__ import annotations

from dataclasses import replace

from bridge.speakers.told import OPEN, Told, ToldSegments
from tests.story import segment

MANY = 3 * OPEN


def _one(number: int) -> Told:
    source = segment(number, f"word{number} and word{number}", start_ms=1000 * number)
    first, second, third = source.words
    marked = replace(source, speaker="S1", words=(first, replace(second, overlap="S2"), third))
    return Told(source, [marked])


def _many() -> ToldSegments:
    told = ToldSegments()
    for number in range(MANY):
        told.keep(number, _one(number))
    return told


def test_what_comes_back_is_what_was_kept_in_the_order_it_was_told() -> None:
    told = _many()
    assert list(told.last(len(told))) == [(number, _one(number)) for number in range(MANY)]


def test_the_last_ones_are_as_many_as_are_asked_for() -> None:
    told = _many()
    for count in (0, 1, OPEN, OPEN + 1, MANY - 1, MANY, MANY + 1):
        found = [number for number, _ in told.last(count)]
        assert found == list(range(max(0, MANY - count), MANY))


def test_one_that_has_changed_keeps_its_place_however_old_it_is() -> None:
    told = _many()
    for number in (0, MANY - 1):
        told.keep(number, Told(_one(number).source, []))
    found = dict(told.last(MANY))
    assert list(found) == list(range(MANY))
    assert [number for number, one in found.items() if not one.pieces] == [0, MANY - 1]


def test_one_that_is_taken_is_gone() -> None:
    told = _many()
    assert [told.pop(number) for number in (0, MANY - 1)] == [_one(0), _one(MANY - 1)]
    assert told.pop(0) is told.pop(MANY - 1) is told.pop(MANY) is None
    assert len(told) == MANY - 2
