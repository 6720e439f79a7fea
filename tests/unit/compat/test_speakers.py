"""Who said it, in each service's words: only where it was asked for, and only where voices were told apart."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from multidict import MultiDict

from bridge.compat.assemblyai.live import AssemblyLive
from bridge.compat.deepgram.live import DeepgramLive
from bridge.compat.dialogue import Begin, Dialect, Say
from bridge.compat.smallest.live import SmallestLive
from bridge.compat.smallest.wording import Wording
from bridge.compat.speechmatics.live import SpeechmaticsLive
from bridge.compat.words import SpeakerNumbers, letter
from bridge.model.events import Event, SpeechEnded, TranscriptFinal
from bridge.model.stream import Leg
from bridge.model.words import Segment, Word

RAW = {"encoding": "linear16", "sample_rate": "8000"}
WORD = Word(word="Hello", start_ms=100, end_ms=500, confidence=0.9)


def final(speaker: str | None) -> TranscriptFinal:
    return TranscriptFinal(
        leg=Leg.MIXED,
        segment=1,
        speaker=speaker,
        start_ms=100,
        end_ms=500,
        text="Hello",
        language="en",
        confidence=0.9,
        words=(WORD,),
    )


def deepgram(*, asked: bool) -> Dialect:
    return DeepgramLive(
        MultiDict({**RAW, **({"diarize": "true"} if asked else {})}), request_id="r", now=0, model="base"
    )


def smallest(*, asked: bool) -> Dialect:
    return SmallestLive(MultiDict({**RAW, **({"diarize": "true"} if asked else {})}), session_id="s", model="base")


def assemblyai(*, asked: bool) -> Dialect:
    query = {"sample_rate": "8000", **({"speaker_labels": "True"} if asked else {})}
    return AssemblyLive(MultiDict(query), session_id="s", now=lambda: 0.0, model="base")


def speechmatics(*, asked: bool) -> Dialect:
    return SpeechmaticsLive(session_id="s", model="base")


def start(*, asked: bool) -> str:
    config = {"diarization": "speaker"} if asked else {}
    return json.dumps({"message": "StartRecognition", "audio_format": {"type": "file"}, "transcription_config": config})


def speaker_in(message: Mapping[str, Any]) -> Iterator[Any]:
    """Every speaker that is named, however deep."""
    for name, value in message.items():
        if name in {"speaker", "speaker_label"}:
            yield value
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, Mapping):
                yield from speaker_in(inner)


@pytest.mark.parametrize(
    ("dialect", "told"),
    [
        pytest.param(
            deepgram, 0, id="deepgram", marks=[pytest.mark.surface("deepgram"), pytest.mark.shows("speakers")]
        ),
        pytest.param(
            smallest, 0, id="smallest", marks=[pytest.mark.surface("smallest"), pytest.mark.shows("speakers")]
        ),
        pytest.param(
            assemblyai,
            "A",
            id="assemblyai",
            marks=[
                pytest.mark.surface("assemblyai"),
                pytest.mark.shows("speakers", differs="a label a turn, none a word"),
            ],
        ),
        pytest.param(
            speechmatics,
            "S2",
            id="speechmatics",
            marks=[pytest.mark.surface("speechmatics"), pytest.mark.shows("speakers")],
        ),
    ],
)
def test_who_said_it(dialect: Callable[..., Dialect], told: Any) -> None:
    """The call is asked to tell voices apart, and the words say whose they are; nobody is made up."""
    for asked in (True, False):
        live = dialect(asked=asked)
        wishes = [*live.opened(), *(live.receive(start(asked=asked)) if dialect is speechmatics else ())]
        [begin] = [wish for wish in wishes if isinstance(wish, Begin)]
        assert (begin.parameters.get("diarize") == "true") is asked
        for speaker in ("S2", None):
            bodies = [SpeechEnded(leg=Leg.MIXED, at_ms=500), final(speaker if asked else None)]
            events = [Event(id="e", seq=1, call_id="c", tenant="t", time=0.0, body=body) for body in bodies]
            said = [json.loads(wish.text) for event in events for wish in live.tell(event) if isinstance(wish, Say)]
            assert said
            found = [one for message in said for one in speaker_in(message)]
            assert set(found) == ({told} if asked and speaker else set())


def test_speakers_of_recordings() -> None:
    """They have names there, on words and utterances."""
    segment = Segment(
        leg=Leg.MIXED,
        segment=1,
        start_ms=100,
        end_ms=500,
        text="Hello",
        language="en",
        confidence=0.9,
        words=(WORD,),
        speaker="S1",
    )
    wording = Wording.of(MultiDict(diarize="true"))
    assert wording.words(segment, named=True)[0]["speaker"] == "speaker_0"
    assert wording.utterance(segment, named=True)["speaker"] == "speaker_0"
    assert "speaker" not in Wording.of(MultiDict()).utterance(segment, named=True)


def test_names_and_numbers() -> None:
    """Numbers count from 0 as people are first heard, whatever they are called; the same name on two legs is two."""
    numbers = SpeakerNumbers()
    heard = [(Leg.CALLER, "S1"), (Leg.AGENT, "S1"), (Leg.CALLER, "Joe"), (Leg.CALLER, "S1"), (Leg.AGENT, None)]
    assert [numbers.of(leg, name) for leg, name in heard] == [0, 1, 2, 0, None]
    assert [letter(number) for number in (0, 25, 26)] == ["A", "Z", "A1"]
