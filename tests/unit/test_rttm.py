"""Who spoke when, as RTTM."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.errors import InvalidRequestError
from bridge.model.stream import Leg
from bridge.rttm import SpokenTurn, as_rttm, read_rttm
from tests.story import segment

SAID = replace(segment(1, "a b c d", leg=Leg.MIXED, start_ms=1234), speaker="S2")


def test_a_segment_is_a_line() -> None:
    assert as_rttm([SAID], "a call") == "SPEAKER a_call 1 1.234 0.400 <NA> <NA> S2 <NA> <NA>\n"


def test_words_that_another_speaks_over_are_turns_of_theirs_too() -> None:
    words = [replace(word, overlap=other) for word, other in zip(SAID.words, (None, "S1", "S1", "S3"), strict=True)]
    lines = as_rttm([replace(SAID, words=tuple(words))], "c").splitlines()
    assert [(turn.start_ms, turn.end_ms, turn.speaker) for turn in read_rttm(lines)] == [
        (1234, 1634, "S2"),
        (1334, 1534, "S1"),
        (1534, 1634, "S3"),
    ]


def test_on_two_legs_the_leg_is_part_of_the_name() -> None:
    legs = [replace(SAID, leg=Leg.AGENT), replace(SAID, leg=Leg.CALLER, speaker=None)]
    assert [line.split()[2] + " " + line.split()[7] for line in as_rttm(legs, "c").splitlines()] == [
        "2 agent-S2",
        "1 caller",
    ]


def test_what_is_written_is_read_back_and_other_lines_are_passed_over() -> None:
    lines = [";; a remark", "", "SPKR-INFO c 1 <NA> <NA> <NA> unknown S2 <NA> <NA>", *as_rttm([SAID], "c").splitlines()]
    assert read_rttm(lines) == [SpokenTurn(start_ms=1234, end_ms=1634, speaker="S2")]


@pytest.mark.parametrize("line", ["SPEAKER c 1 0.5", "SPEAKER c 1 soon 1 <NA> <NA> S1 <NA> <NA>"])
def test_a_damaged_line_is_named(line: str) -> None:
    with pytest.raises(InvalidRequestError, match="line 2"):
        read_rttm(["", line])
