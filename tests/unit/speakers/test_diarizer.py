"""Words given to voices, on one leg."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bridge.model.frame import from_ms
from bridge.model.stream import Leg
from bridge.model.words import Partial, Segment
from bridge.speakers.diarizer import Diarizer, Recut, Renamed
from bridge.speakers.windows import OverlapWindow, VoiceWindow
from tests.story import segment
from tests.voices import LIKENESS, voice

WORD_MS = 100
"""Of `tests.story.segment`."""


def _window(start_ms: int, end_ms: int) -> VoiceWindow:
    return VoiceWindow(start=from_ms(start_ms), end=from_ms(end_ms), stretch=0, samples=np.zeros(0, np.float32))


def _hear(diarizer: Diarizer, start_ms: int, end_ms: int, number: int) -> list[Renamed | Recut]:
    """One voice, in half-overlapping windows."""
    found: list[Renamed | Recut] = []
    for start in range(start_ms, end_ms - 639, 320):
        found += diarizer.hear(_window(start, start + 640), voice(number))
    return found


def _together(diarizer: Diarizer, start_ms: int, end_ms: int) -> list[Renamed | Recut]:
    """Two at once, in a window of ten seconds from the beginning."""
    window = OverlapWindow(start=0, end=from_ms(10_000), stretch=0, samples=np.zeros(0, np.float32))
    return diarizer.overlap(window, [(from_ms(start_ms), from_ms(end_ms))])


def _marks(segment: Segment) -> str:
    """Who else speaks, a sign a word."""
    return "".join("." if word.overlap is None else word.overlap[-1] for word in segment.words)


def _said(number: int, start_ms: int, count: int) -> Segment:
    return segment(number, " ".join(f"w{n}" for n in range(count)), leg=Leg.MIXED, start_ms=start_ms)


def _told(segments: list[Segment]) -> list[tuple[int, str | None, int]]:
    return [(one.segment, one.speaker, len(one.words)) for one in segments]


def test_a_final_in_which_two_speak_is_told_as_two_segments() -> None:
    diarizer = Diarizer(LIKENESS)
    _hear(diarizer, 0, 1600, 1)
    _hear(diarizer, 1600, 3200, 2)
    assert _told(diarizer.final(_said(1, 0, 32))) == [(1, "S1", 16), (2, "S2", 16)]


def test_numbers_go_on_behind_a_segment_that_became_two() -> None:
    diarizer = Diarizer(LIKENESS)
    _hear(diarizer, 0, 1600, 1)
    _hear(diarizer, 1600, 3200, 2)
    diarizer.final(_said(1, 0, 32))
    partial = diarizer.partial(Partial(leg=Leg.MIXED, segment=2, start_ms=4000, end_ms=4500, text="w0", stable_text=""))
    _hear(diarizer, 4000, 5600, 1)
    assert partial.segment == 3
    assert _told(diarizer.final(_said(2, 4000, 16))) == [(3, "S1", 16)]


def test_settled_text_replaces_all_pieces_of_what_it_settles() -> None:
    diarizer = Diarizer(LIKENESS)
    _hear(diarizer, 0, 1600, 1)
    _hear(diarizer, 1600, 3200, 2)
    diarizer.final(_said(1, 0, 32))
    diarizer.final(_said(2, 2000, 8))
    recut = diarizer.revision((1, 2), [_said(1, 0, 30), _said(2, 2000, 8)])
    assert recut.replaces == (1, 2, 3)
    assert _told(list(recut.segments)) == [(1, "S1", 16), (2, "S2", 14), (3, "S2", 8)]


def test_a_voice_that_becomes_a_speaker_late_is_told_as_a_changed_mind() -> None:
    """0.64 s of a new voice is not enough to be a speaker; with what follows it is, and its first words are its own."""
    diarizer = Diarizer(LIKENESS)
    _hear(diarizer, 0, 3200, 1)
    diarizer.final(_said(1, 0, 32))
    diarizer.hear(_window(4000, 4500), voice(2))
    assert _told(diarizer.final(_said(2, 4000, 5))) == [(2, "S1", 5)]
    assert _hear(diarizer, 6000, 7000, 2) == [Renamed(segment=2, speaker="S2")]


def test_when_the_leg_is_over_segments_are_cut_anew_by_what_all_of_it_says() -> None:
    diarizer = Diarizer(LIKENESS)
    _hear(diarizer, 0, 1600, 1)
    diarizer.hear(_window(2000, 2500), voice(2))
    both = _said(1, 0, 25)
    assert _told(diarizer.final(both)) == [(1, "S1", 25)]
    _hear(diarizer, 4000, 6000, 2)
    [recut] = [found for found in diarizer.settle() if isinstance(found, Recut)]
    assert recut.replaces == (1,)
    assert _told(list(recut.segments)) == [(1, "S1", 18), (2, "S2", 7)]


def test_what_stands_is_not_told_again() -> None:
    diarizer = Diarizer(LIKENESS)
    _hear(diarizer, 0, 1600, 1)
    _hear(diarizer, 1600, 3200, 2)
    diarizer.final(_said(1, 0, 32))
    assert diarizer.settle() == []


def test_without_a_voice_words_are_told_without_a_name() -> None:
    diarizer = Diarizer(LIKENESS)
    assert _told(diarizer.final(_said(1, 0, 4))) == [(1, None, 4)]
    assert diarizer.settle() == []


def test_a_call_taken_up_again_does_not_tell_a_piece_twice() -> None:
    """The process died between the two pieces of a final."""
    diarizer = Diarizer(LIKENESS, first_segment=2, told_ms=1600)
    _hear(diarizer, 0, 1600, 1)
    _hear(diarizer, 1600, 3200, 2)
    assert _told(diarizer.final(_said(2, 0, 32))) == [(3, "S2", 16)]


# -- two at once ---------------------------------------------------------------------------------------------------


def test_words_that_two_say_at_once_are_marked_with_who_else_speaks() -> None:
    diarizer = Diarizer(LIKENESS)
    _hear(diarizer, 0, 1600, 1)
    _hear(diarizer, 1600, 3200, 2)
    _together(diarizer, 1270, 1960)
    assert [_marks(piece) for piece in diarizer.final(_said(1, 0, 32))] == [".............222", "1111............"]


def test_where_only_one_voice_is_known_nobody_else_is_named() -> None:
    diarizer = Diarizer(LIKENESS)
    _hear(diarizer, 0, 3200, 1)
    _together(diarizer, 1000, 2000)
    assert [_marks(piece) for piece in diarizer.final(_said(1, 0, 32))] == ["." * 32]


def test_marks_that_come_late_are_told_as_settled_text() -> None:
    diarizer = Diarizer(LIKENESS)
    _hear(diarizer, 0, 1600, 1)
    _hear(diarizer, 1600, 3200, 2)
    diarizer.final(_said(1, 0, 32))
    [recut] = _together(diarizer, 1300, 1600)
    assert isinstance(recut, Recut)
    assert recut.replaces == (1,)
    assert [(one.segment, one.speaker, _marks(one)) for one in recut.segments] == [(1, "S1", ".............222")]


def test_who_else_speaks_changes_with_the_names() -> None:
    """At first the second voice is too little to be somebody."""
    diarizer = Diarizer(LIKENESS)
    _hear(diarizer, 0, 3200, 1)
    diarizer.hear(_window(3600, 4100), voice(2))
    _together(diarizer, 1000, 1400)
    [told] = diarizer.final(_said(1, 0, 32))
    assert _marks(told) == "." * 32
    [recut] = _hear(diarizer, 5000, 6000, 2)
    assert isinstance(recut, Recut)
    assert [_marks(piece) for piece in recut.segments] == ["." * 10 + "2222" + "." * 18]


def test_marks_go_with_the_words_when_the_text_is_settled() -> None:
    diarizer = Diarizer(LIKENESS)
    _hear(diarizer, 0, 1600, 1)
    _hear(diarizer, 1600, 3200, 2)
    _together(diarizer, 0, 300)
    diarizer.final(_said(1, 0, 16))
    recut = diarizer.revision((1,), [_said(1, 0, 14)])
    assert [_marks(piece) for piece in recut.segments] == ["222..........."]
    assert diarizer.settle() == []


# -- a call that is taken up again ---------------------------------------------------------------------------------


def _resumed() -> Diarizer:
    """An earlier process heard the second voice before the first, for it had lost the beginning, and told both."""
    told = [replace(_said(1, 0, 16), speaker="S2"), replace(_said(2, 1600, 16), speaker="S1")]
    return Diarizer(LIKENESS, first_segment=3, told_ms=3200, told=told)


def test_those_who_have_a_name_keep_it() -> None:
    diarizer = _resumed()
    _hear(diarizer, 0, 1600, 1)
    _hear(diarizer, 1600, 3200, 2)
    _hear(diarizer, 4000, 5600, 1)
    assert _told(diarizer.final(_said(3, 4000, 16))) == [(3, "S2", 16)]
    assert diarizer.settle() == []


def test_a_new_voice_has_none_of_the_names_that_were_given() -> None:
    """The earlier process had no name for the first voice, and the second was its S1."""
    told = [_said(1, 0, 16), replace(_said(2, 1600, 16), speaker="S1")]
    diarizer = Diarizer(LIKENESS, first_segment=3, told_ms=3200, told=told)
    _hear(diarizer, 0, 1600, 1)
    _hear(diarizer, 1600, 3200, 2)
    assert diarizer.settle() == [Renamed(segment=1, speaker="S2")]


def test_nothing_is_named_anew_before_all_that_was_told_is_heard_again() -> None:
    """A second of it says nothing about what follows."""
    told = [replace(_said(1, 0, 16), speaker="S1"), replace(_said(2, 1600, 32), speaker="S2")]
    diarizer = Diarizer(LIKENESS, first_segment=3, told_ms=4800, told=told)
    assert _hear(diarizer, 0, 1600, 1) == []
    diarizer.hear(_window(1600, 2100), voice(2))
    assert _hear(diarizer, 2400, 4000, 2) == []
    _hear(diarizer, 4000, 4800, 2)
    assert diarizer.settle() == []


def test_what_was_told_before_is_named_anew_when_all_of_it_says_so() -> None:
    told = [replace(_said(1, 0, 32), speaker="S1")]
    diarizer = Diarizer(LIKENESS, first_segment=2, told_ms=3200, told=told)
    _hear(diarizer, 0, 1600, 1)
    _hear(diarizer, 1600, 3200, 2)
    [recut] = diarizer.settle()
    assert isinstance(recut, Recut)
    assert _told(list(recut.segments)) == [(1, "S1", 16), (2, "S2", 16)]
