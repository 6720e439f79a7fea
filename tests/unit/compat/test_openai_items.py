"""Items of a Realtime session, without a socket: which words are whose, when they come late or not at all."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from bridge.compat.openai.items import Items
from bridge.compat.openai.session import Session
from bridge.errors import InvalidRequestError
from bridge.model.events import (
    Body,
    CallEnded,
    Event,
    MediaGap,
    SpeechEnded,
    SpeechFlushed,
    SpeechStarted,
    TranscriptFinal,
)
from bridge.model.stream import Leg

pytestmark = pytest.mark.surface("openai")


def started(at_ms: int) -> Body:
    return SpeechStarted(leg=Leg.MIXED, at_ms=at_ms)


def ended(at_ms: int) -> Body:
    return SpeechEnded(leg=Leg.MIXED, at_ms=at_ms)


def final(start_ms: int, end_ms: int, text: str) -> Body:
    return TranscriptFinal(
        leg=Leg.MIXED,
        segment=1,
        speaker=None,
        start_ms=start_ms,
        end_ms=end_ms,
        text=text,
        language="en",
        confidence=0.9,
        words=(),
    )


def told(items: Items, *bodies: Body) -> list[Any]:
    events = [Event(id="e", seq=1, call_id="c", tenant="t", time=0.0, body=body) for body in bodies]
    return [message for event in events for message in items.tell(event)]


def items(*, by_speech: bool = True) -> Items:
    numbers = itertools.count()
    return Items(lambda: f"i{next(numbers)}", by_speech=by_speech, older=False)


def completed(messages: Sequence[Any]) -> list[tuple[str, str]]:
    return [(one["item_id"], one["transcript"]) for one in messages if one["type"].endswith("completed")]


def test_speech_that_comes_to_no_words_is_completed_too() -> None:
    """By the next words, or by the end of the call."""
    heard = items()
    messages = told(heard, started(0), ended(500), started(900), ended(1500), final(900, 1500, "hello"))
    assert completed(messages) == [("i0", ""), ("i1", "hello")]
    assert completed(told(heard, started(2000), ended(2500), CallEnded(reason="hangup", duration_ms=3000)))


def test_long_speech_is_one_item() -> None:
    """Words of its first part are added before it ends, the item completed with the last."""
    messages = told(items(), started(0), final(0, 9000, "first"), ended(12_000), final(9000, 12_000, "second"))
    assert completed(messages) == [("i0", "first second")]
    assert [one["delta"] for one in messages if one["type"].endswith("delta")] == ["first", " second"]


def test_speech_that_could_not_be_decoded_has_failed() -> None:
    """And says so."""
    gap = MediaGap(leg=Leg.MIXED, at_ms=0, missing_ms=500, reason="undecoded")
    [failed] = [one for one in told(items(), started(0), ended(500), gap) if one["type"].endswith("failed")]
    assert failed["error"]["code"] == "undecoded"


def test_what_is_cleared_is_never_told() -> None:
    """Neither speech that goes on nor words that come late; what follows the flush is an item again."""
    heard = items()
    told(heard, started(0))
    assert [one["type"] for one in heard.clear()] == ["input_audio_buffer.cleared"]
    assert told(heard, ended(400), final(0, 400, "no"), started(450), SpeechFlushed(leg=Leg.MIXED, at_ms=500)) == []
    assert completed(told(heard, started(600), ended(900), final(600, 900, "yes"))) == [("i1", "yes")]


def test_a_commit_takes_what_was_said_before_it() -> None:
    """Words that come late belong to the turn they were said in."""
    heard = items(by_speech=False)
    first = [*heard.commit(), *heard.commit()]
    assert [one["type"] for one in first].count("input_audio_buffer.committed") == 2
    flushed = [SpeechFlushed(leg=Leg.MIXED, at_ms=at_ms) for at_ms in (1000, 2500)]
    messages = told(heard, final(0, 900, "one"), flushed[0], final(1200, 2000, "two"), flushed[1])
    assert completed(messages) == [("i0", "one"), ("i1", "two")]
    seconds = [one["usage"]["seconds"] for one in messages if one["type"].endswith("completed")]
    assert seconds == [1.0, 1.5]


@pytest.mark.shows("keywords")
@pytest.mark.shows("endpointing")
@pytest.mark.shows("language choice")
def test_what_a_session_asks_for_reaches_the_call() -> None:
    """Language, words to expect, silence, sensitivity; what is not given stays as it was."""
    first = Session().updated(
        {
            "audio": {
                "input": {
                    "transcription": {"language": "de", "prompt": "Zug, Bahn"},
                    "turn_detection": {"type": "server_vad", "threshold": 0.7, "silence_duration_ms": 300},
                }
            }
        }
    )
    chosen = {
        "keywords": "Zug,Bahn",
        "partials": "off",
        "language": "de",
        "endpointing_ms": "300",
        "vad_threshold": "0.7",
    }
    assert first.parameters("base") == chosen
    eager = first.updated_flat({"turn_detection": {"type": "semantic_vad", "eagerness": "high"}})
    assert eager.parameters("base")["endpointing_ms"] == "500"
    assert eager.parameters("base")["language"] == "de"


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"include": 2**31}, id="include-a-number"),
        pytest.param({"include": "item"}, id="include-a-word"),
        pytest.param({"turn_detection": {"type": "semantic_vad", "eagerness": ["high"]}}, id="eagerness-a-list"),
        pytest.param({"turn_detection": {"type": "semantic_vad", "eagerness": "always"}}, id="eagerness-unknown"),
    ],
)
def test_what_a_session_cannot_be_told(given: dict[str, Any]) -> None:
    """Whatever JSON a client sends for it, it is told what is wrong."""
    with pytest.raises(InvalidRequestError):
        Session().updated_flat(given)
