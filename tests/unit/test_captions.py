"""Transcripts as text and subtitles, to the byte."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from bridge.captions import MAX_CUE_CHARACTERS, MAX_CUE_MS, as_srt, as_text, as_vtt, cues
from bridge.model.stream import Leg
from bridge.model.words import Segment, Word


def said(text: str, start_ms: int, end_ms: int, *, leg: Leg = Leg.CALLER, speaker: str | None = None) -> Segment:
    """A segment whose words share its time evenly."""
    words = text.split()
    step = (end_ms - start_ms) / max(len(words), 1)
    return Segment(
        leg=leg,
        segment=1,
        start_ms=start_ms,
        end_ms=end_ms,
        text=text,
        language="en",
        confidence=0.9,
        speaker=speaker,
        words=tuple(
            Word(word=word, start_ms=start_ms + int(n * step), end_ms=start_ms + int((n + 1) * step), confidence=0.9)
            for n, word in enumerate(words)
        ),
    )


CALL = [
    said("Good morning, Harbour Taxi.", 480, 2310, leg=Leg.AGENT),
    said("Hi, a cab for 3 < 4 people & a dog.", 3_599_999, 3_602_050),
    said("Sure.", 3_603_000, 3_603_400, leg=Leg.MIXED, speaker="speaker 2"),
]

TEXT = """\
Agent: Good morning, Harbour Taxi.
Caller: Hi, a cab for 3 < 4 people & a dog.
speaker 2: Sure.
"""

SRT = """\
1
00:00:00,480 --> 00:00:02,310
Agent: Good morning, Harbour Taxi.

2
00:59:59,999 --> 01:00:02,050
Caller: Hi, a cab for 3 < 4 people & a dog.

3
01:00:03,000 --> 01:00:03,400
speaker 2: Sure.

"""

VTT = """\
WEBVTT

00:00:00.480 --> 00:00:02.310
<v Agent>Good morning, Harbour Taxi.

00:59:59.999 --> 01:00:02.050
<v Caller>Hi, a cab for 3 &lt; 4 people &amp; a dog.

01:00:03.000 --> 01:00:03.400
<v speaker 2>Sure.
"""


@pytest.mark.parametrize(
    ("write", "expected"),
    [pytest.param(as_text, TEXT, id="txt"), pytest.param(as_srt, SRT, id="srt"), pytest.param(as_vtt, VTT, id="vtt")],
)
def test_a_call_is_written_exactly(write: Callable[[list[Segment]], str], expected: str) -> None:
    """Numbers, times, names, escapes and blank lines are those the formats ask for."""
    assert write(CALL) == expected


@pytest.mark.parametrize(("write", "expected"), [(as_text, ""), (as_srt, ""), (as_vtt, "WEBVTT\n")])
def test_nothing_said_is_an_empty_file(write: Callable[[list[Segment]], str], expected: str) -> None:
    """A call without words is still a valid file."""
    assert write([]) == expected


def test_a_speaker_on_a_leg_of_its_own_is_named_beside_it() -> None:
    """The leg stays readable when diarization has an opinion too."""
    assert as_text([said("Yes.", 0, 500, speaker="speaker 1")]) == "Caller (speaker 1): Yes.\n"


def test_a_mixed_line_without_speakers_names_nobody() -> None:
    """There is no voice span where nobody can be told apart."""
    mixed = [said("Hello -->\nthere", 0, 500, leg=Leg.MIXED)]
    assert as_vtt(mixed) == "WEBVTT\n\n00:00:00.000 --> 00:00:00.500\nHello --&gt; there\n"


def test_a_blank_line_in_a_text_does_not_end_its_cue() -> None:
    """Whatever white space a text has, a cue is one line."""
    assert as_srt([said("one\n\n2\r\n\ttwo", 0, 900)]).splitlines()[2] == "Caller: one 2 two"


def test_long_speech_is_cut_at_words() -> None:
    """Every cue fits a screen, none is empty, and together they say all of it in order."""
    text = " ".join(f"word{n:02}" for n in range(60)) + "."
    found = cues([said(text, 1000, 29_000)])
    assert len(found) > 4
    assert " ".join(cue.text for cue in found) == text
    assert all(len(cue.text) <= MAX_CUE_CHARACTERS for cue in found)
    assert all(0 < cue.end_ms - cue.start_ms <= MAX_CUE_MS for cue in found)
    assert found[0].start_ms == 1000
    assert found[-1].end_ms == 29_000
    assert all(before.end_ms <= after.start_ms for before, after in pairwise(found))


def test_a_cut_is_made_where_a_sentence_ends() -> None:
    """Rather than in the middle of the next one."""
    first, second = "Thank you for calling Harbour Taxi, my name is Ada Novak.", "How can I help you this morning?"
    assert [cue.text for cue in cues([said(f"{first} {second}", 0, 6000)])] == [first, second]


def test_languages_without_spaces_are_cut_too() -> None:
    """Words are found in the text as it is written: no space is put between them."""
    words = [f"词{n:03}" for n in range(60)]
    whole = said(" ".join(words), 0, 27_000)
    run_on = Segment(**{name: getattr(whole, name) for name in whole.__slots__} | {"text": "".join(words)})
    found = cues([run_on])
    assert len(found) > 2
    assert "".join(cue.text for cue in found) == "".join(words)


def test_words_that_are_not_the_texts_leave_it_whole() -> None:
    """A text that was put right by hand stays one cue rather than lose a part."""
    whole = said("a " * 100, 0, 20_000)
    other = Segment(**{name: getattr(whole, name) for name in whole.__slots__} | {"text": "b " * 100})
    assert [cue.text for cue in cues([other])] == [("b " * 100).strip()]


def test_two_who_speak_at_once_are_in_order_of_beginning() -> None:
    """Cues are sorted by start, whatever leg they are from; a cue without length gets a millisecond."""
    found = cues([said("later", 900, 900), said("first", 100, 2000, leg=Leg.AGENT)])
    assert [(cue.text, cue.start_ms, cue.end_ms) for cue in found] == [("first", 100, 2000), ("later", 900, 901)]
