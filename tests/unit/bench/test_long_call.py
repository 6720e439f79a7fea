"""Hours of one call, in little: the same people all the way."""

from __future__ import annotations

import math
import wave
from pathlib import Path

import numpy as np
import pytest

from bridge import call as call_module
from bridge.bench.long_call import PARTS, long_call
from bridge.bench.speakers import SpeakerCall
from bridge.clock import SystemClock
from bridge.model.frame import Samples
from bridge.model.likeness import Vector
from bridge.rttm import SpokenTurn
from tests.tones import LINE_RATE, SCRIPT, recording, tone_segmenter, words_in
from tests.voices import ScriptedVoices, voice

FIRST_OF_BOB = 6
"""Ann says the tones before, Bob those from here on."""


def _by_tone(samples: Samples) -> Vector:
    numbers = [int(word.text.removeprefix("tone")) for word in words_in(samples)]
    return voice(int(max(numbers, default=0) >= FIRST_OF_BOB))


@pytest.fixture
def call(tmp_path: Path) -> SpeakerCall:
    path = tmp_path / "tones.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(LINE_RATE)
        file.writeframes(np.sum([*recording().legs.values()], axis=0).astype("<i2").tobytes())
    turns = tuple(
        SpokenTurn(
            start_ms=word.start_ms,
            end_ms=word.end_ms,
            speaker="bob" if int(word.word.removeprefix("tone")) >= FIRST_OF_BOB else "ann",
        )
        for _, words in SCRIPT
        for word in words
    )
    return SpeakerCall(name="tones", path=path, turns=turns)


async def test_who_speaks_again_and_again_keeps_a_name(call: SpeakerCall, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice 18 s: words are counted by what is told, and by who says them."""
    monkeypatch.setattr(call_module, "Segmenter", tone_segmenter)
    voices = ScriptedVoices(SystemClock(), takes_s=0.0, answer=_by_tone)
    found = await long_call(call, 0.01, voices, SystemClock())
    assert len(found.parts) == PARTS
    assert found.names == found.parts[-1].names == 2
    assert found.settled > 0.9
    assert sum(part.words for part in found.parts) > 20
    assert found.parts[-1].until_s > 30
    assert all(part.right > 0.9 or math.isnan(part.right) for part in found.parts)


async def test_one_who_becomes_another_is_seen(call: SpeakerCall, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its second half everybody sounds as one."""
    monkeypatch.setattr(call_module, "Segmenter", tone_segmenter)
    voices = ScriptedVoices(SystemClock(), takes_s=0.0)
    voices.answer = lambda samples: _by_tone(samples) if voices.heard < 25 else voice(0)
    found = await long_call(call, 0.01, voices, SystemClock())
    assert found.parts[-1].right < 0.8
