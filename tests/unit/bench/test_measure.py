"""What a call's events are worth, in numbers that can be counted by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from bridge.bench.calls import BenchCall, Utterance
from bridge.bench.measure import Figures, Seen, measure
from bridge.carrier.audio import CallAudio
from bridge.model.stream import Leg

SAID = ["one two three", "four five six", "seven eight nine"]
EVERY_MS = 3_000
LONG_MS = 1_000


def call(texts: Sequence[str] = SAID) -> BenchCall:
    """Each text takes a second, and begins three seconds after the one before."""
    utterances = tuple(
        Utterance(leg=Leg.CALLER, start_ms=EVERY_MS * number, end_ms=EVERY_MS * number + LONG_MS, text=text)
        for number, text in enumerate(texts)
    )
    audio = CallAudio({Leg.CALLER: np.zeros(EVERY_MS * len(texts) * 8, np.int16)}, 8_000)
    return BenchCall(
        id="one", kind="call", language="en", audio=audio, texts={Leg.CALLER: " ".join(texts)}, utterances=utterances
    )


def heard(kind: str, number: int, text: str, *, at: float = 0.0, stable: str = "") -> Seen:
    event = {
        "type": f"transcript.{kind}",
        "leg": "caller",
        "segment": number,
        "start_ms": EVERY_MS * number,
        "end_ms": EVERY_MS * number + LONG_MS,
        "text": text,
        "stable_text": stable,
    }
    return Seen(at, event)


def finals(texts: Sequence[str]) -> list[Seen]:
    return [heard("final", number, text) for number, text in enumerate(texts)]


def figures(seen: Sequence[Seen], *, settled: Sequence[dict[str, Any]] = (), texts: Sequence[str] = SAID) -> Figures:
    """Samples are sent on time, from Unix time 100 on."""
    return measure(call(texts), seen, settled, lambda ms: 100 + ms / 1000)


def test_a_final_is_timed_from_the_true_end_of_its_speech() -> None:
    seen = [heard("final", 0, SAID[0], at=101.5), heard("final", 2, SAID[2], at=107.7)]
    found = figures(seen)
    assert found.finals_s == pytest.approx([0.5, 0.7])
    assert found.missing == 1
    assert found.speech_s == 3.0


def test_words_are_counted_live_and_as_settled() -> None:
    settled = [{"start_ms": EVERY_MS * number, "text": text} for number, text in enumerate(SAID)]
    found = figures(finals(["one too three", "four six", SAID[2]]), settled=settled)
    assert (found.live.substitutions, found.live.deletions, found.live.words) == (1, 1, 9)
    assert (found.settled.errors, found.settled.words) == (0, 9)


@pytest.mark.parametrize(("last", "lost"), [(SAID[2], 0), ("seven eight", 1), ("seven", 2), ("seven eight line", 0)])
def test_words_lost_at_the_end(last: str, lost: int) -> None:
    """Those that are not there; one that was misheard is."""
    assert figures(finals([*SAID[:2], last])).lost_at_end == lost


def test_a_call_of_an_hour_is_counted_like_a_short_one() -> None:
    """Its words are aligned piece by piece, and each error is still counted once, where pieces meet too."""
    names = ["".join("abcdefghij"[int(digit)] for digit in f"{number:03}") for number in range(250)]
    texts = [f"{name} says words" for name in names]
    said = list(texts)
    said[99] = f"{names[99]} says swords"
    said[100] = "says words"
    said[199] += " more"
    found = figures(finals(said), texts=texts)
    errors = found.live
    assert (errors.substitutions, errors.deletions, errors.insertions, errors.words) == (1, 1, 1, 750)
    assert found.lost_at_end == 0


def test_words_taken_back_and_stable_words_broken() -> None:
    seen = [
        heard("partial", 0, "one tooth"),
        heard("partial", 0, "one two", stable="one"),
        heard("partial", 0, "won two three", stable="won two"),
        heard("final", 0, SAID[0]),
    ]
    found = figures(seen)
    assert (found.partials, found.shown, found.taken_back) == (3, 6, 3)
    assert found.broken_promises == 2


def test_the_first_partial_is_timed_from_the_start_of_the_speech() -> None:
    seen = [heard("partial", 1, "four", at=103.8), heard("partial", 1, "four five", at=104.6)]
    assert figures(seen).first_partials_s == pytest.approx([0.8])
