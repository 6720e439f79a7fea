"""Text that nobody said, told from text that somebody did."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.model.frame import SAMPLE_RATE
from bridge.ports import Decoded
from bridge.recognise.guard import is_doubled, is_echo, is_invented, is_sparse
from tests.engines import said, spoken, words_in

TEXTS = {
    "nothing": ("", -0.1, 0.0, True),
    "only signs": ("... -- ?!", -0.1, 0.0, True),
    "a stage direction": ("[Music]", -0.1, 0.0, True),
    "in parentheses": ("(speaking in foreign language)", -0.1, 0.0, True),
    "several": ("[Music] [Applause]", -0.1, 0.0, True),
    "between stars": ("*laughs*", -0.1, 0.0, True),
    "a song": ("♪ la la la ♪", -0.1, 0.0, True),
    "speech between stage directions": ("[Music] I am calling about an order. [Applause]", -0.3, 0.1, False),
    "speech in two parentheses": ("(Yes) I think so (no)", -0.3, 0.1, False),
    "a number that begins with a parenthesis": ("(555) 010-4477", -0.3, 0.1, False),
    "ordinary speech": ("I am calling about an order.", -0.3, 0.1, False),
    "ordinary speech on a bad line": ("I am calling about an order.", -1.2, 0.3, False),
    "hopeless": ("I am calling about an order.", -1.9, 0.0, True),
    "unsure in a window without speech": ("I am calling about an order.", -1.1, 0.7, True),
    "sure in a window that may have none": ("I am calling about an order.", -0.5, 0.7, False),
    "stock phrase, unsure": ("Thanks for watching!", -0.6, 0.1, True),
    "stock phrase, hardly speech": ("Thanks for watching!", -0.2, 0.4, True),
    "stock phrase, clearly said": ("Thanks for watching!", -0.2, 0.1, False),
    "goodbye, clearly said": ("Bye-bye.", -0.3, 0.05, False),
    "bye, clearly said": ("Bye.", -0.3, 0.05, False),
    "oh, clearly said": ("Oh.", -0.3, 0.05, False),
    "you, from noise": ("you", -0.9, 0.5, True),
    "stock phrase inside speech": ("Thanks for watching my dog.", -0.8, 0.4, False),
    "in French": ("Sous-titrage Société Radio-Canada", -0.7, 0.2, True),
    "in Japanese": ("ご視聴ありがとうございました。", -0.7, 0.2, True),
}


@pytest.mark.parametrize(("text", "sure", "no_speech", "invented"), TEXTS.values(), ids=TEXTS.keys())
def test_invented_text_is_told_from_speech(text: str, sure: float, no_speech: float, invented: bool) -> None:
    """By its look, by its confidence, or by being what Whisper falls back on."""
    decoded = Decoded(
        text=text,
        language="en",
        language_probability=0.9,
        average_log_probability=sure,
        no_speech_probability=no_speech,
    )
    assert is_invented(decoded) is invented


def decoded(text: str) -> Decoded:
    return replace(said(()), text=text)


ECHOES = {
    "the last sentence again": ("I got a car from you.", "Two weeks ago, I got a car from you.", True),
    "its middle": ("a car from", "Two weeks ago, I got a car from you.", True),
    "something new": ("The light came on.", "Two weeks ago, I got a car from you.", False),
    "something new behind an echo": ("I got a car from you. The light came on.", "I got a car from you.", False),
    "a short answer given twice": ("Thank you.", "Thank you. Thank you.", False),
    "nothing before": ("I got a car from you.", "", False),
    "nothing": ("", "I got a car from you.", False),
    "long ago": ("I got a car from you.", "I got a car from you." + " Well." * 40, False),
}


@pytest.mark.parametrize(("text", "before", "echo"), ECHOES.values(), ids=ECHOES.keys())
def test_an_echo_is_nothing_but_context(text: str, before: str, echo: bool) -> None:
    """Three words or more, all of them said shortly before in that order."""
    assert is_echo(decoded(text), before) is echo


DOUBLES = {
    "a sentence twice": ("Press star to cancel this. Press star to cancel this.", True),
    "inside more": ("Well, press star to cancel, press star to cancel now.", True),
    "behind a word": ("No, it is my mother's. Yes. No, it is my mother's.", True),
    "once": ("Press star to cancel this message.", False),
    "three words twice": ("I don't know. I don't know.", False),
    "again, but later": ("Press star to cancel, or wait. Press star to cancel.", False),
}


@pytest.mark.parametrize(("text", "doubled"), DOUBLES.values(), ids=DOUBLES.keys())
def test_a_double_is_a_run_of_words_said_again_at_once(text: str, doubled: bool) -> None:
    """Four words or more; what people repeat is shorter, or comes later."""
    assert is_doubled(decoded(text)) is doubled


@pytest.mark.parametrize(
    ("words", "seconds", "sparse"), [(3, 4.0, True), (6, 4.0, False), (0, 4.0, True), (1, 2.9, False)]
)
def test_sparse_text_is_less_than_speech_says(words: int, seconds: float, sparse: bool) -> None:
    """Fewer words than half of slow speech; a short stretch may hold one word."""
    found = said(words_in(spoken(*range(11, 11 + words)))) if words else said(())
    assert is_sparse(found, round(seconds * SAMPLE_RATE)) is sparse
