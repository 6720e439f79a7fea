from __future__ import annotations

import itertools

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.bench.score import WordErrors, align, count, invented, lost_at_end, word_errors


@pytest.mark.parametrize(
    ("reference", "heard", "errors"),
    [
        pytest.param("the blue car", "the blue car", (3, 0, 0, 0), id="right"),
        pytest.param("the blue car", "the red car", (3, 1, 0, 0), id="substituted"),
        pytest.param("the blue car", "the car", (3, 0, 1, 0), id="left-out"),
        pytest.param("the blue car", "the very blue car", (3, 0, 0, 1), id="put-in"),
        pytest.param("the blue car", "", (3, 0, 3, 0), id="nothing-heard"),
        pytest.param("", "thanks for watching", (0, 0, 0, 3), id="nothing-said"),
        pytest.param("", "", (0, 0, 0, 0), id="silence"),
        pytest.param("order four four seven", "order 446", (4, 1, 0, 0), id="one-digit-wrong"),
        pytest.param(
            "leave a voice mail today", "leave a voicemail today", (5, 0, 0, 0), id="two-words-written-as-one"
        ),
        pytest.param("a voicemail", "a voice mail", (2, 0, 0, 0), id="one-word-written-as-two"),
        pytest.param("log in now", "login", (3, 0, 1, 0), id="joined-and-left-out"),
    ],
)
def test_word_errors(reference: str, heard: str, errors: tuple[int, int, int, int]) -> None:
    """Words, substitutions, deletions and insertions, one row a kind of error."""
    found = word_errors(reference, heard)
    assert (found.words, found.substitutions, found.deletions, found.insertions) == errors


def test_alignment_names_the_words() -> None:
    """The pairs say what became of each word."""
    pairs = align(["my", "name", "is", "daniel", "carter"], ["my", "name", "daniel", "cart", "er", "please"])
    assert pairs == [
        ("my", "my"),
        ("name", "name"),
        ("is", None),
        ("daniel", "daniel"),
        ("carter", "carter"),
        (None, "please"),
    ]


@pytest.mark.parametrize(
    ("heard", "lost"),
    [
        pytest.param("see you on Friday at nine", 0, id="all"),
        pytest.param("see you on Friday", 2, id="end-missing"),
        pytest.param("see you Friday at nine", 0, id="middle-missing"),
        pytest.param("see you on Friday at mine", 0, id="last-word-wrong"),
        pytest.param("", 6, id="nothing"),
    ],
)
def test_lost_at_end(heard: str, lost: int) -> None:
    """Words are lost at the end of a call when nothing was heard from there on."""
    assert lost_at_end("see you on Friday at nine", heard) == lost


def test_invented_words_count_hesitations_too() -> None:
    """On a line without speech every word is one too many."""
    assert invented("Mm. Thank you!") == 3


def test_errors_add_up_over_calls() -> None:
    """A rate over many calls weighs every word alike."""
    total = sum([word_errors("a b c d", "a b c d"), word_errors("one fish", "two fish")], WordErrors())
    assert total.words == 3
    assert total.rate == pytest.approx(1 / 3)


def test_rate_without_reference_words() -> None:
    """Where nothing was said the rate counts the invented words."""
    assert word_errors("", "thank you").rate == 2


LETTERS = [first + second for first, second in itertools.product("xyz", "qrs")]
"""Two letters each: joining any two never gives a third, so that jiwer, which does not join, must agree."""


@given(st.lists(st.sampled_from(LETTERS), min_size=1, max_size=12), st.lists(st.sampled_from(LETTERS), max_size=12))
def test_agrees_with_jiwer(reference: list[str], heard: list[str]) -> None:
    """Without joined words the count of errors is the one an independent scorer finds."""
    found = count(align(reference, heard))
    assert found.rate == pytest.approx(jiwer.wer(" ".join(reference), " ".join(heard)))
