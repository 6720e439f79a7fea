"""AssemblyAI's half of a session, without a socket: turns that end late, and what only time or a parameter does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from multidict import MultiDict

from bridge.compat.assemblyai.live import LONGEST_S, AssemblyLive
from bridge.compat.assemblyai.turns import Turns
from bridge.compat.dialogue import Begin, Finish, Say
from bridge.compat.words import spread_out
from bridge.errors import CapacityError, StoreError
from bridge.model.events import TranscriptFinal, TranscriptPartial
from bridge.model.stream import Leg
from bridge.model.words import Word

pytestmark = pytest.mark.surface("assemblyai")

RAW = {"sample_rate": "8000"}


def dialect(**query: str) -> AssemblyLive:
    return AssemblyLive(MultiDict({**RAW, **query}), session_id="s1", now=lambda: 0.0, model="base")


def begin(**query: str) -> Any:
    return next(wish for wish in dialect(**query).opened() if isinstance(wish, Begin))


def final(start_ms: int, end_ms: int, text: str) -> TranscriptFinal:
    words = tuple(Word(word=w, start_ms=start_ms, end_ms=end_ms, confidence=0.9) for w in text.split())
    return TranscriptFinal(
        leg=Leg.MIXED,
        segment=1,
        speaker=None,
        start_ms=start_ms,
        end_ms=end_ms,
        text=text,
        language="en",
        confidence=0.9,
        words=words,
    )


def shown(turn: Any) -> tuple[Any, ...]:
    return turn["turn_order"], turn["end_of_turn"], turn["turn_is_formatted"], turn["transcript"]


def test_long_speech_is_one_turn() -> None:
    """Its first part is told before it ends; then all of it, plain and as it is written."""
    turns = Turns(formatted=True, with_language=False)
    [first] = turns.final(final(0, 9000, "Hello there,"))
    assert shown(first) == (0, False, False, "hello there")
    turns.ended(12_000)
    plain, written = turns.final(final(9000, 12_000, "Joe."))
    assert shown(plain) == (0, True, False, "hello there joe")
    assert shown(written) == (0, True, True, "Hello there, Joe.")


def test_a_turn_whose_last_part_came_to_no_words_ends_all_the_same() -> None:
    """With the next words, under a number of their own, or with the call."""
    turns = Turns(formatted=False, with_language=False)
    turns.final(final(0, 9000, "hello"))
    turns.ended(12_000)
    last, growing = turns.partial(
        TranscriptPartial(leg=Leg.MIXED, segment=2, start_ms=13_000, end_ms=14_000, text="Good day", stable_text="Good")
    )
    assert shown(last) == (0, True, False, "hello")
    assert shown(growing) == (1, False, False, "good")
    assert [word["word_is_final"] for word in growing["words"]] == [True, False]
    assert turns.end() == []


def test_words_without_times_are_spread_out() -> None:
    """By their lengths, within the time they were said in."""
    found = spread_out(["ab", "abcd"], 1000, 1600)
    assert [(word.start_ms, word.end_ms) for word in found] == [(1000, 1200), (1200, 1600)]


@pytest.mark.shows("keywords")
@pytest.mark.shows("language choice")
@pytest.mark.shows("endpointing", differs="silence alone, as long as `max_turn_silence` or `min_turn_silence` says")
def test_what_a_client_chooses_reaches_the_call() -> None:
    """Its languages, its words to expect, its silence, its sensitivity."""
    asked = begin(language_code="de", keyterms_prompt='["Zug","Bahn"]', min_turn_silence="300", vad_threshold="0.7")
    chosen = {"keywords": "Zug,Bahn", "language": "de", "endpointing_ms": "300", "vad_threshold": "0.7"}
    assert asked.parameters == {**chosen, "partials": "on"}
    assert begin(max_turn_silence="900", min_turn_silence="300").parameters["endpointing_ms"] == "900"
    assert begin().parameters["language"] == "en"
    for several in ({"language_codes": '["en","de"]'}, {"speech_model": "universal-streaming-multilingual"}):
        assert "language" not in begin(**several).parameters


def test_time_ends_a_session() -> None:
    """Three hours of audio do, and silence for as long as the client allows."""
    assert dialect().quiet(10_000) == []
    assert [type(wish) for wish in dialect(inactivity_timeout="30").quiet(30)] == [Finish]
    assert dialect().heard(LONGEST_S * 1000 - 1) == []
    told, finish = dialect().heard(LONGEST_S * 1000)
    assert isinstance(told, Say)
    assert json.loads(told.text)["error_code"] == 3008
    assert isinstance(finish, Finish)
    assert finish.code == 3008


@pytest.mark.parametrize(("error", "code"), [(CapacityError("full"), 3009), (StoreError("away"), 3005)])
def test_our_own_faults_have_their_codes(error: Any, code: int) -> None:
    """They are not the client's."""
    assert [wish.code for wish in dialect().fault(error) if isinstance(wish, Finish)] == [code]
