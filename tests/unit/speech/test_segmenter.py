"""Where speech begins, pauses and ends, on a voice model that believes what it is shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.frame import AudioFrame, Samples
from bridge.model.speech import Speech, SpeechAudio, SpeechBegan, SpeechOver, SpeechPaused, SpeechWentOn
from bridge.model.stream import Leg
from bridge.speech.gate import Gate
from bridge.speech.segmenter import Segmenter, SegmenterOptions

WINDOW = 512
PRE_ROLL = 10
"""Windows in 320 ms."""
PAUSE, OVER = 7, 16
"""Silent windows until a pause is noticed (200 ms), and until it is the end (500 ms)."""


class Believing:
    """A VoiceModel: a window's first sample is its probability. Counts what it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.resets = 0

    def reset(self) -> None:
        self.resets += 1

    def probabilities(self, windows: Samples) -> npt.NDArray[np.float32]:
        self.asked += len(windows)
        return windows[:, 0]


class Opening(Gate):
    """Opens for whatever is not digital silence."""

    def maybe_speech(self, window: Samples) -> bool:
        return bool(window.any())


def audio(*runs: tuple[int, float]) -> Samples:
    """`(windows, probability)` one behind the other."""
    return np.concatenate([np.full(count * WINDOW, p, np.float32) for count, p in runs])


def hear(samples: Samples, *, frame: int = WINDOW, model: Believing | None = None, **options: int) -> list[Speech]:
    """All that is found, the end of the leg included."""
    segmenter = Segmenter(SegmenterOptions(**options), model=model or Believing(), gate=Opening())
    found: list[Speech] = []
    for at in range(0, len(samples), frame):
        found += segmenter.push(AudioFrame(leg=Leg.CALLER, position=at, samples=samples[at : at + frame]))
    return found + segmenter.flush()


def story(found: Sequence[Speech]) -> list[tuple[str, int]]:
    """What was found but for the audio, positions in windows."""
    named = {SpeechBegan: "began", SpeechPaused: "paused", SpeechWentOn: "went on", SpeechOver: "over"}
    return [(named[type(one)], one.position // WINDOW) for one in found if not isinstance(one, SpeechAudio)]


STORIES = {
    "speech in silence": (
        [(20, 0), (10, 1), (20, 0)],
        [("began", 20 + 2 - PRE_ROLL), ("paused", 30), ("over", 30)],
    ),
    "a pause inside an utterance": (
        [(20, 0), (10, 1), (PAUSE + 2, 0), (5, 1), (20, 0)],
        [("began", 12), ("paused", 30), ("went on", 39), ("paused", 44), ("over", 44)],
    ),
    "a hole too short for a pause": (
        [(20, 0), (10, 1), (PAUSE - 1, 0), (5, 1), (20, 0)],
        [("began", 12), ("paused", 41), ("over", 41)],
    ),
    "a click is no beginning": ([(20, 0), (1, 1), (20, 0), (1, 1), (20, 0)], []),
    "doubtful sound is no beginning": ([(20, 0), (30, 0.39), (20, 0)], []),
    "doubtful sound keeps speech going": (
        [(20, 0), (5, 1), (20, 0.3), (20, 0)],
        [("began", 12), ("paused", 45), ("over", 45)],
    ),
    "doubtful sound does not end a pause": (
        [(20, 0), (5, 1), (PAUSE, 0), (9, 0.3), (20, 0)],
        [("began", 12), ("paused", 25), ("over", 25)],
    ),
    "speech from the first sample": ([(10, 1), (20, 0)], [("began", 0), ("paused", 10), ("over", 10)]),
    "the line dies in a word": ([(20, 0), (7, 1)], [("began", 12), ("over", 27)]),
    "the line dies in a pause": ([(20, 0), (7, 1), (10, 0)], [("began", 12), ("paused", 27), ("over", 27)]),
    "two utterances": (
        [(20, 0), (5, 1), (OVER + 20, 0), (5, 1), (20, 0)],
        [("began", 12), ("paused", 25), ("over", 25), ("began", 53), ("paused", 66), ("over", 66)],
    ),
    "a second utterance right behind the first has only the silence since": (
        [(20, 0), (5, 1), (OVER + 3, 0), (5, 1), (20, 0)],
        [("began", 12), ("paused", 25), ("over", 25), ("began", 25 + OVER), ("paused", 49), ("over", 49)],
    ),
}


@pytest.mark.parametrize(("runs", "expected"), STORIES.values(), ids=STORIES.keys())
def test_speech_is_found_where_it_is(runs: list[tuple[int, float]], expected: list[tuple[str, int]]) -> None:
    """Beginnings carry the pre-roll, ends stand where the voice stopped, to the sample."""
    assert story(hear(audio(*runs))) == expected


def test_the_voice_itself_begins_behind_the_pre_roll() -> None:
    """A caption's start is the voice's, not the pre-roll's."""
    [began] = [one for one in hear(audio((20, 0), (10, 1), (20, 0))) if isinstance(one, SpeechBegan)]
    assert began.voice == 20 * WINDOW


def test_first_syllables_stay() -> None:
    """Sound that was too soft to count, just before speech was sure, is part of what goes on."""
    samples = audio((20, 0), (4, 0.3), (10, 1), (20, 0))
    heard = np.concatenate([one.samples for one in hear(samples) if isinstance(one, SpeechAudio)])
    assert np.count_nonzero(heard == np.float32(0.3)) == 4 * WINDOW


@pytest.mark.parametrize(("hangover_ms", "windows"), [(200, 7), (320, 10), (500, 16), (1000, 32)])
def test_the_hang_over_may_be_chosen(hangover_ms: int, windows: int) -> None:
    """Speech is over after so much silence, and not one window before."""
    almost = audio((20, 0), (5, 1), (max(windows, PAUSE + 1) - 1, 0), (5, 1), (40, 0))
    enough = audio((20, 0), (5, 1), (max(windows, PAUSE + 1), 0), (5, 1), (40, 0))
    assert [kind for kind, _ in story(hear(almost, hangover_ms=hangover_ms))].count("over") == 1
    assert [kind for kind, _ in story(hear(enough, hangover_ms=hangover_ms))].count("over") == 2


def test_silence_never_wakes_the_model() -> None:
    """A minute behind a shut gate costs not one question."""
    model = Believing()
    assert hear(audio((1875, 0)), model=model) == []
    assert model.asked == 0


def test_the_model_falls_asleep_again_after_a_second() -> None:
    """A noise wakes it; in the silence that follows it is asked for about a second and no more."""
    model = Believing()
    hear(audio((50, 0), (3, 0.1), (500, 0)), model=model)
    assert PRE_ROLL + 3 < model.asked < PRE_ROLL + 3 + 40


def test_the_model_wakes_fresh_and_with_the_pre_roll_in_its_ear() -> None:
    """What it knew of an earlier noise is forgotten; what came just before it hears first."""
    model = Believing()
    hear(audio((50, 0), (1, 0.1)), model=model)
    assert (model.resets, model.asked) == (1, PRE_ROLL + 1)


runs_of_sound = st.lists(st.tuples(st.integers(1, 40), st.sampled_from([0.0, 0.3, 0.5, 1.0])), min_size=1, max_size=8)


@given(runs=runs_of_sound, frame=st.integers(80, 3000))
def test_frames_of_any_size_give_the_same_speech(runs: list[tuple[int, float]], frame: int) -> None:
    """How a carrier cuts its audio changes nothing of what is found."""
    samples = audio(*runs)
    whole, cut = hear(samples), hear(samples, frame=frame)
    assert story(whole) == story(cut)
    assert np.array_equal(_audio(whole), _audio(cut))


@given(runs=runs_of_sound)
def test_audio_has_no_holes_and_is_never_told_twice(runs: list[tuple[int, float]]) -> None:
    """From each beginning on, every sample up to the end is there once; utterances do not overlap."""
    position = 0
    speaking = False
    for one in hear(audio(*runs)):
        match one:
            case SpeechBegan(start, voice):
                assert not speaking
                assert position <= start <= voice
                speaking, position = True, start
            case SpeechAudio(at, samples):
                assert speaking
                assert at == position
                position += len(samples)
            case SpeechPaused(at) | SpeechWentOn(at):
                assert speaking
                assert at <= position
            case SpeechOver(at):
                assert speaking
                assert at <= position
                speaking = False
    assert not speaking


def _audio(found: Sequence[Speech]) -> Samples:
    return np.concatenate([np.empty(0, np.float32), *(one.samples for one in found if isinstance(one, SpeechAudio))])
