"""How turns' ends are scored, on pauses made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.bench.turn_scores import eagerness, ours, outcome, rows, smart_turn, vad
from bridge.bench.turn_trial import Pause
from bridge.turns.text import cues
from bridge.turns.weighing import Evidence

DONE, HALF = "I would like to book a table.", "I would like to book a table and"


def pause(take: str, text: str, lasted_s: float | None, **given: Any) -> Pause:
    """A silence inside a turn, or (None) its end."""
    fields: dict[str, Any] = {
        "take": take,
        "kind": "prompt",
        "language": "en",
        "tuned": False,
        "at_end": lasted_s is None,
        "late_s": 0.0,
        "noticed_s": 0.16,
        "lasted_s": lasted_s,
        "text": text,
        "features": Evidence(cues=cues(text)).features(),
        "decode_s": 0.1,
        "check_s": 0.002,
        "smart": None,
        "smart_s": 0.0,
    }
    return Pause(**{**fields, **given})


TURNS = [
    pause("a", HALF, 0.5),
    pause("a", DONE, None),
    pause("b", DONE, None),
    pause("c", HALF, 1.0),
    pause("c", HALF, 0.4),
    pause("c", DONE, None, late_s=0.1),
    pause("d", DONE, None),
]


@pytest.mark.parametrize(
    ("silence_s", "cut"), [(0.3, 0.5), (0.45, 0.5), (0.7, 0.25), (1.2, 0.0)], ids=["300", "450", "700", "1200"]
)
def test_silence_cuts_the_turns_that_pause_for_longer(silence_s: float, cut: float) -> None:
    """A turn is cut once, however many of its pauses would have done it."""
    assert outcome(TURNS, vad(silence_s)).cut == cut


def test_delay_counts_from_the_true_end() -> None:
    """The silence waited for, and what the voice detector was late by: 0.5, 0.5, 0.5 and 0.6 s."""
    found = outcome(TURNS, vad(0.5))
    assert found.median_s == pytest.approx(0.5)
    assert found.p90_s == pytest.approx(0.57)


def test_words_are_waited_for() -> None:
    """However sure they are, they are there when the pause was noticed and decoded; without decoding, at once."""
    assert ours(0.01)(TURNS[1]) == pytest.approx(0.262)
    assert ours(0.01, decoding=False)(TURNS[1]) == pytest.approx(0.162)


def test_smart_turn_is_asked_once() -> None:
    """Sure enough: 200 ms and its own time; else the time-out."""
    sure = pause("a", DONE, None, smart=0.9, smart_s=0.05)
    assert smart_turn(0.5)(sure) == pytest.approx(0.25)
    assert smart_turn(0.95)(sure) == 3.0


def test_words_beat_silence_where_they_differ() -> None:
    """With no turn cut, silence has to be longer than the longest pause; words need less."""
    silence, words, _ = rows(TURNS)
    assert silence.name == "plain VAD"
    assert silence.at_five is not None
    assert words.at_five is not None
    assert silence.at_five.median_s == pytest.approx(1.0, abs=0.05)
    assert words.at_five.median_s < silence.at_five.median_s


def test_eager_ends_that_were_none_are_counted() -> None:
    """Of all eager ends, those at a pause that did not end the turn."""
    found = eagerness(TURNS)
    assert 0 <= found.taken_back < 0.5
    assert found.earlier_s >= 0
