"""Speechmatics' half of a session, without a socket: punctuation, and what only time or a parameter brings about."""

from __future__ import annotations

import json

import pytest

from bridge.compat.dialogue import Begin, Finish, Say
from bridge.compat.speechmatics.live import SpeechmaticsLive
from bridge.compat.speechmatics.results import transcript
from bridge.errors import CapacityError, UnsupportedMediaError
from bridge.model.words import Word

pytestmark = pytest.mark.surface("speechmatics")


def started(**config: object) -> SpeechmaticsLive:
    live = SpeechmaticsLive(session_id="s1", model="base")
    asked = {"audio_format": {"type": "file"}, "transcription_config": {"language": "de", **config}}
    live.receive(json.dumps({"message": "StartRecognition", **asked}))
    return live


def test_punctuation_is_a_result_of_its_own() -> None:
    """It belongs to the word before; marks that end a sentence say so."""
    words = [
        Word(word="„Hello,", start_ms=0, end_ms=400, confidence=0.9),
        Word(word="Joe!?", start_ms=500, end_ms=900, confidence=0.8),
    ]
    results = transcript("AddTranscript", "„Hello, Joe!?", (0, 900), words, language="en")["results"]
    told = [(one["type"], one["alternatives"][0]["content"], one.get("is_eos")) for one in results]
    assert told == [
        ("word", "Hello", None),
        ("punctuation", ",", False),
        ("word", "Joe", None),
        ("punctuation", "!", True),
        ("punctuation", "?", True),
    ]
    assert results[1]["attaches_to"] == "previous"
    assert results[0]["alternatives"][0]["language"] == "en"


@pytest.mark.shows("keywords")
@pytest.mark.shows("endpointing")
@pytest.mark.shows("language choice")
def test_what_a_client_chooses_reaches_the_call() -> None:
    """Its language, its words to expect, the silence that ends an utterance; partials only when they are shown."""
    live = SpeechmaticsLive(session_id="s1", model="base")
    config = {
        "language": "de",
        "enable_partials": True,
        "additional_vocab": ["Zug", {"content": "Bahn", "sounds_like": ["Baan"]}],
        "conversation_config": {"end_of_utterance_silence_trigger": 0.7},
    }
    asked = {"audio_format": {"type": "file"}, "transcription_config": config}
    begin = live.receive(json.dumps({"message": "StartRecognition", **asked}))[0]
    assert isinstance(begin, Begin)
    chosen = {"language": "de", "keywords": "Zug,Bahn", "endpointing_ms": "700", "partials": "on"}
    assert begin.parameters == chosen


def test_partials_can_be_switched_off_on_the_way() -> None:
    """What cannot be changed is said."""
    live = started(enable_partials=True)
    off = {"message": "SetRecognitionConfig", "transcription_config": {"language": "de", "enable_partials": False}}
    assert live.receive(json.dumps(off)) == []
    other = {"message": "SetRecognitionConfig", "transcription_config": {"max_delay": 1}}
    [warning] = live.receive(json.dumps(other))
    assert isinstance(warning, Say)
    assert "max_delay" in json.loads(warning.text)["reason"]


def test_faults_have_names() -> None:
    """Ours and the client's, and an end to a session that says nothing."""
    for wishes, kind in (
        (started().fault(CapacityError("full")), "quota_exceeded"),
        (started().quiet(120.0), "idle_timeout"),
    ):
        told, finish = wishes
        assert isinstance(told, Say)
        assert json.loads(told.text)["type"] == kind
        assert isinstance(finish, Finish)
    assert started().quiet(60.0) == []


@pytest.mark.parametrize("encoding", ["mp3", ["pcm_s16le"], None], ids=repr)
def test_an_encoding_that_is_none(encoding: object) -> None:
    """It is refused by name, whatever JSON it is."""
    asked = {"audio_format": {"type": "raw", "encoding": encoding, "sample_rate": 16000}, "transcription_config": {}}
    live = SpeechmaticsLive(session_id="s1", model="base")
    with pytest.raises(UnsupportedMediaError):
        live.receive(json.dumps({"message": "StartRecognition", **asked}))
