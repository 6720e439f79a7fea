"""What words say about whether their speaker is done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.turns.text import Cues, cues, is_backchannel


@pytest.mark.parametrize(
    ("text", "language", "seen"),
    [
        pytest.param("I'd like to book a table for two people.", "en", Cues(sentence=True), id="a sentence's end"),
        pytest.param("Can you tell me when you open?", "en", Cues(question=True), id="a question"),
        pytest.param("We could come on Friday,", "en", Cues(cut_off=True), id="a comma"),
        pytest.param("We could come on...", "en", Cues(cut_off=True, trailing=True), id="dots behind a preposition"),
        pytest.param("I would like the blue one and", "en", Cues(trailing=True), id="a conjunction"),
        pytest.param("Ich hätte gern einen Termin am", "de", Cues(trailing=True), id="a German preposition"),
        pytest.param("Ich hätte gern einen Termin am", "xx", Cues(), id="a language without a list"),
        pytest.param("I need to, um", "en", Cues(filler=True), id="a filler"),
        pytest.param("Sure, my address is", "en", Cues(promised=True, trailing=True), id="announced and not said"),
        pytest.param("My number is 555", "en", Cues(digits=True, half_number=True), id="three digits"),
        pytest.param(
            "My number is 555-019-4477.", "en", Cues(sentence=True, digits=True), id="a whole telephone number"
        ),
        pytest.param("No thanks.", "en", Cues(sentence=True, short=True, answer=True), id="an answer"),
        pytest.param("  ", "en", Cues(), id="nothing"),
    ],
)
def test_what_is_seen_in_a_text(text: str, language: str, seen: Cues) -> None:
    """Each cue is one that a person sees, too."""
    assert replace(cues(text, language), length=0.0) == seen


@pytest.mark.parametrize(("text", "length"), [("", 0), ("Three words here", 0.25), ("a " * 12, 1), ("a " * 40, 1)])
def test_the_length_of_a_text_counts_up_to_a_dozen(text: str, length: float) -> None:
    """Beyond that it says no more."""
    assert cues(text).length == length


@pytest.mark.parametrize(
    ("text", "language", "is_one"),
    [
        ("Mm-hm.", "en", True),
        ("Yeah, okay.", "en", True),
        ("I see, I see.", "en", True),
        ("", "en", True),
        ("Ja, genau.", "de", True),
        ("Yes, but wait.", "en", False),
        ("Yes yes yes yes yes", "en", False),
        ("No.", "en", False),
    ],
)
def test_signs_of_listening_are_told_from_answers(text: str, language: str, is_one: bool) -> None:
    """A few words from a short list, and no other."""
    assert is_backchannel(text, language) is is_one
