"""The gate and Silero themselves, on calls of our own making: what is speech, and what is not."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.model.frame import AudioFrame, Samples, to_ms
from bridge.model.speech import SpeechBegan, SpeechOver
from bridge.model.stream import Leg
from bridge.speech.gate import Gate
from bridge.speech.segmenter import Segmenter, SegmenterOptions
from bridge.speech.silero import WINDOW, Silero
from tests.fixture_calls import fixture_call

SPOKEN = {
    "two-party": 0,
    "monologue": 0,
    "quiet-speaker": 0,
    "short-answers": 0,
    "spelled-name": 0,
    "narrow-line": 2,  # no tone under 300 Hz: Silero gives two short words 0.2
}
"""Calls, and how many of their words may go unheard."""


def stretches(samples: Samples) -> list[tuple[int, int]]:
    """Where the voice is, in ms."""
    segmenter = Segmenter(SegmenterOptions())
    found = [*segmenter.push(AudioFrame(leg=Leg.CALLER, position=0, samples=samples)), *segmenter.flush()]
    begins = [to_ms(one.voice) for one in found if isinstance(one, SpeechBegan)]
    ends = [to_ms(one.position) for one in found if isinstance(one, SpeechOver)]
    return list(zip(begins, ends, strict=True))


@pytest.mark.parametrize(("name", "most"), SPOKEN.items(), ids=SPOKEN.keys())
def test_spoken_words_lie_in_stretches_of_speech(name: str, most: int) -> None:
    """With pre-roll and trail: a call's words do not go unheard."""
    call = fixture_call(name)
    missed = []
    for leg in call.legs:
        found = stretches(call.heard(leg))
        missed += [
            said
            for said in call.words(leg)
            if not any(begin - 320 <= said.start_ms + 60 and said.end_ms - 60 <= end + 160 for begin, end in found)
        ]
    assert len(missed) <= most, missed


def test_real_speech_is_found_alike_however_it_is_cut() -> None:
    """A recording in one piece and the same call in frames of 20 ms have the same stretches of speech."""
    heard = fixture_call("two-party").heard(Leg.CALLER)
    segmenter = Segmenter(SegmenterOptions())
    begins = [
        to_ms(one.voice)
        for at in range(0, len(heard), 320)
        for one in segmenter.push(AudioFrame(leg=Leg.CALLER, position=at, samples=heard[at : at + 320]))
        if isinstance(one, SpeechBegan)
    ]
    assert begins == [begin for begin, _ in stretches(heard)]


@pytest.mark.parametrize(("name", "most_ms"), [("silence", 0), ("tones", 1_000), ("hold-music", 2_000)])
def test_what_is_no_speech_is_hardly_taken_for_it(name: str, most_ms: int) -> None:
    """Silence never, tones and music for a moment at most: what slips through is the guard's affair."""
    call = fixture_call(name)
    for leg in call.legs:
        assert sum(end - begin for begin, end in stretches(call.heard(leg))) <= most_ms


def test_the_gate_is_shut_for_silence_and_open_for_speech() -> None:
    """A level too low for any voice is not even asked about."""
    gate = Gate()
    quiet = np.full(WINDOW, 0.0019, np.float32)
    assert not gate.maybe_speech(quiet)
    assert not gate.maybe_speech(-quiet)
    call = fixture_call("monologue")
    heard = call.heard(Leg.CALLER)
    windows = heard[: len(heard) // WINDOW * WINDOW].reshape(-1, WINDOW)
    assert np.mean([gate.maybe_speech(window) for window in windows]) > 0.5


def test_windows_one_by_one_are_judged_as_windows_together() -> None:
    """The model's state goes on from call to call; a reset forgets it."""
    heard = fixture_call("short-answers").heard(Leg.CALLER)
    windows = heard[: 380 * WINDOW].reshape(-1, WINDOW)
    model = Silero()
    together = model.probabilities(windows)
    model.reset()
    alone = np.concatenate([model.probabilities(window[np.newaxis]) for window in windows])
    assert together.shape == (380,)
    assert np.allclose(together, alone, atol=1e-4)
    assert together.min() >= 0
    assert 0.8 < together.max() <= 1


@pytest.mark.parametrize("shape", [(1, 480), (3, 256), (2, 513)], ids=str)
def test_a_wrong_window_is_refused(shape: tuple[int, int]) -> None:
    """Silero takes 512 samples and nothing else: other shapes are an error, never a misread window."""
    with pytest.raises(ValueError, match="512"):
        Silero().probabilities(np.zeros(shape, np.float32))
