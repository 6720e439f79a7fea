"""Deepgram's turns, without a socket: ends that a client forces, words that come after, and what a parameter does."""

from __future__ import annotations

import json
from typing import Any

from multidict import MultiDict

from bridge.compat.deepgram.turns import DeepgramTurns
from bridge.compat.dialogue import Begin, Finalise, Finish, Say
from bridge.errors import StoreError
from bridge.model.events import (
    Body,
    Event,
    SpeechFlushed,
    TranscriptFinal,
    TranscriptPartial,
    TurnEagerEnded,
    TurnEnded,
    TurnResumed,
    TurnStarted,
)
from bridge.model.stream import Leg
from bridge.model.words import Word

RAW = {"model": "flux-general-en", "encoding": "linear16", "sample_rate": "8000"}


def dialect(**query: str) -> DeepgramTurns:
    return DeepgramTurns(MultiDict({**RAW, **query}), request_id="r1", model="base")


def told(live: DeepgramTurns, *bodies: Body) -> list[dict[str, Any]]:
    events = [Event(id="e", seq=1, call_id="c", tenant="t", time=0.0, body=body) for body in bodies]
    return [json.loads(wish.text) for event in events for wish in live.tell(event) if isinstance(wish, Say)]


def shown(messages: list[dict[str, Any]]) -> list[tuple[str, int, str]]:
    return [(one["event"], one["turn_index"], one["transcript"]) for one in messages]


def started(at_ms: int = 0) -> Body:
    return TurnStarted(leg=Leg.MIXED, turn=1, at_ms=at_ms, probability=0.1)


def partial(text: str) -> Body:
    return TranscriptPartial(leg=Leg.MIXED, segment=1, start_ms=0, end_ms=900, text=text, stable_text="")


def final(text: str, end_ms: int = 1000) -> Body:
    words = tuple(Word(word=word, start_ms=0, end_ms=end_ms, confidence=0.9) for word in text.split())
    return TranscriptFinal(
        leg=Leg.MIXED,
        segment=1,
        speaker=None,
        start_ms=0,
        end_ms=end_ms,
        text=text,
        language="en",
        confidence=0.9,
        words=words,
    )


def eager(text: str) -> Body:
    return TurnEagerEnded(leg=Leg.MIXED, turn=1, at_ms=1000, probability=0.6, text=text, reason="sentence")


def resumed() -> Body:
    return TurnResumed(leg=Leg.MIXED, turn=1, at_ms=1200, probability=0.2)


def ended(text: str, reason: str = "sentence") -> Body:
    return TurnEnded(leg=Leg.MIXED, turn=1, at_ms=1500, probability=0.9, text=text, reason=reason)


def test_a_turn_as_flux_tells_it() -> None:
    """It grows, may be over, is not, is over; words that stand have times, the others read as they do."""
    live = dialect(eager_eot_threshold="0.5")
    messages = told(live, started(), partial("Hi"), eager("Hi Joe"), resumed(), final("Hi Joe"), ended("Hi Joe"))
    assert shown(messages) == [
        ("StartOfTurn", 0, ""),
        ("Update", 0, "Hi"),
        ("EagerEndOfTurn", 0, "Hi Joe"),
        ("TurnResumed", 0, ""),
        ("EndOfTurn", 0, "Hi Joe"),
    ]
    assert messages[1]["words"] == [{"word": "Hi", "confidence": 0.0}]
    assert messages[-1]["words"][1] == {"word": "Joe", "confidence": 0.9, "start": 0.0, "end": 1.0}
    assert messages[-1]["trigger"] == "model"
    assert all("trigger" not in one for one in messages[:-1])
    [late] = [one for one in told(live, started(), ended("", "timeout")) if one["event"] == "EndOfTurn"]
    assert (late["turn_index"], late["trigger"]) == (1, "timeout")


def test_eager_ends_are_told_to_those_who_ask() -> None:
    """Nor is anything taken back that was not told."""
    assert [one["event"] for one in told(dialect(), started(), eager("Hi"), resumed(), ended("Hi"))] == [
        "StartOfTurn",
        "EndOfTurn",
    ]


def test_a_turn_that_the_client_ends() -> None:
    """What is said behind it is another turn, though it is the same one for us."""
    live = dialect()
    told(live, started(), partial("Hi"))
    assert live.receive('{"type": "ForceEndTurn"}') == [Finalise()]
    messages = told(live, final("Hi"), SpeechFlushed(leg=Leg.MIXED, at_ms=1000), final("Joe", 2000), ended("Hi Joe"))
    assert shown(messages) == [("EndOfTurn", 0, "Hi"), ("StartOfTurn", 1, ""), ("EndOfTurn", 1, "Joe")]
    assert messages[0]["trigger"] == "manual"
    live.receive('{"type": "ForceEndTurn"}')
    assert told(live, SpeechFlushed(leg=Leg.MIXED, at_ms=3000)) == []


def test_what_a_client_chooses_reaches_the_call() -> None:
    """Its thresholds, its time-out, its words to expect and its language; usual values where it says nothing."""
    query = {"eot_threshold": "0.8", "eager_eot_threshold": "0.4", "eot_timeout_ms": "900", "keyterm": "Zug"}
    [begin] = [wish for wish in dialect(**query).opened() if isinstance(wish, Begin)]
    chosen = {"eot_threshold": "0.8", "eager_eot_threshold": "0.4", "eot_timeout_ms": "900", "keywords": "Zug"}
    assert begin.parameters == {**chosen, "turns": "bot", "language": "en"}
    multi = dialect(model="flux-general-multi", language_hint="de")
    [begin] = [wish for wish in multi.opened() if isinstance(wish, Begin)]
    assert begin.parameters == {
        "turns": "bot",
        "eot_threshold": "0.7",
        "eot_timeout_ms": "5000",
        "keywords": "",
        "language": "de",
    }


def test_time_and_faults_end_a_session() -> None:
    """With Deepgram's codes."""
    assert dialect().quiet(59.0) == []
    assert [wish.code for wish in dialect().quiet(60.0) if isinstance(wish, Finish)] == [1011]
    error, finish = dialect().fault(StoreError("away"))
    assert isinstance(error, Say)
    assert json.loads(error.text)["code"] == "NET-0000"
    assert isinstance(finish, Finish)
    assert finish.code == 1011
