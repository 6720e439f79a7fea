from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from bridge.bench.calls import BenchCall, SpokenWord, Utterance, read_fixture
from bridge.bench.compose import RATE, Clip, Shape, bundled, clips, compose
from bridge.carrier.audio import CallAudio
from bridge.errors import InvalidRequestError
from bridge.model.stream import Leg

AUDIO = Path(__file__).parents[3] / "fixtures" / "audio"
SHORT = Shape(call_ms=10_000, pause_ms=(1_000, 1_500), hang_up_ms=400)


def spoken(text: str, *, seconds: float = 1.0, speaker: str | None = None) -> Clip:
    """A clip that is loud from 100 ms on, with its words' times."""
    samples = np.zeros(round((seconds + 0.2) * RATE), np.int16)
    samples[RATE // 10 : round((seconds + 0.1) * RATE)] = 5_000
    end = round(seconds * 1000) + 100
    words = (SpokenWord(word=text, start_ms=100, end_ms=end),)
    said = Utterance(leg=Leg.CALLER, start_ms=100, end_ms=end, text=text, words=words, speaker=speaker)
    return Clip(samples=samples, utterance=said, language="en")


CLIPS = [spoken(f"word-{number}", seconds=0.5 + number / 10) for number in range(9)]


def recording(samples: np.ndarray[tuple[int], np.dtype[np.int16]], text: str | None, rate: int = RATE) -> BenchCall:
    audio = CallAudio({Leg.CALLER: samples}, rate)
    return BenchCall(id="one", kind="prompt", language="en", audio=audio, texts={Leg.CALLER: text})


def test_bundled_sentences_fill_many_different_calls() -> None:
    """What comes with callbridge is enough for calls of about a minute, no two alike, each of one voice."""
    calls = compose(bundled(), 24)
    assert len({call.texts[Leg.CALLER] for call in calls}) == 24
    assert all(50_000 <= call.duration_ms <= 58_000 for call in calls)
    assert all(len({said.speaker for said in call.utterances}) == 1 for call in calls)


def test_the_same_seed_makes_the_same_calls() -> None:
    """A load can be repeated, and its first calls do not depend on how many there are."""
    few, many, others = (compose(CLIPS, count, seed=seed, shape=SHORT) for count, seed in ((2, 1), (5, 1), (2, 2)))
    assert [call.utterances for call in few] == [call.utterances for call in many[:2]]
    assert all(
        np.array_equal(one.audio.legs[Leg.CALLER], other.audio.legs[Leg.CALLER])
        for one, other in zip(few, many, strict=False)
    )
    assert [call.utterances for call in few] != [call.utterances for call in others]


def test_pauses_and_the_end_are_counted_from_true_bounds() -> None:
    """Pauses lie between the asked bounds, and the call ends the asked time behind its last word."""
    for call in compose(CLIPS, 20, shape=SHORT):
        said = call.utterances
        pauses = [after.start_ms - before.end_ms for before, after in pairwise(said)]
        assert pauses
        assert all(1_000 <= pause < 1_500 for pause in pauses)
        assert call.duration_ms == said[-1].end_ms + 400
        assert call.duration_ms <= 10_000


def test_references_are_exact() -> None:
    """Where the reference says that somebody speaks there is sound, and nowhere else; words moved with it."""
    for call in compose(CLIPS, 5, shape=SHORT):
        samples = call.audio.legs[Leg.CALLER]
        expected = np.zeros(len(samples), bool)
        for said in call.utterances:
            expected[said.start_ms * 8 : said.end_ms * 8] = True
            assert (said.words[0].start_ms, said.words[-1].end_ms) == (said.start_ms, said.end_ms)
        assert np.array_equal(samples != 0, expected)
        assert call.texts[Leg.CALLER] == " ".join(said.text or "" for said in call.utterances)


def test_no_sentence_comes_twice_in_a_call() -> None:
    """A recogniser that remembers what was said before gains nothing."""
    for call in compose(CLIPS, 20, shape=SHORT):
        texts = [said.text for said in call.utterances]
        assert len(texts) == len(set(texts))


def test_a_call_is_as_long_as_asked_however_few_sentences_there_are() -> None:
    """Once all have been said they are said again, in another order."""
    (call,) = compose(CLIPS, 1, shape=replace(SHORT, call_ms=100_000))
    texts = [said.text for said in call.utterances]
    rounds = [texts[first : first + len(CLIPS)] for first in range(0, len(texts), len(CLIPS))]
    assert call.duration_ms > 95_000
    assert all(len(set(said)) == len(said) for said in rounds)
    assert rounds[0] != rounds[1]


def test_voices_take_turns_by_call() -> None:
    """Two speakers make two kinds of call, never a mixed one."""
    sentences = [spoken(f"{name}-{number}", speaker=name) for name in ("ann", "bob") for number in range(4)]
    calls = compose(sentences, 4, shape=SHORT)
    assert [{said.speaker for said in call.utterances} for call in calls] == [{"ann"}, {"bob"}, {"ann"}, {"bob"}]


@pytest.mark.parametrize(
    "sentences", [pytest.param([], id="none"), pytest.param([spoken("long", seconds=9.8)], id="too-long")]
)
def test_nothing_to_make_a_call_from(sentences: list[Clip]) -> None:
    """A load without calls is an error, not an empty success."""
    with pytest.raises(InvalidRequestError):
        compose(sentences, 1, shape=SHORT)


def test_clips_of_a_call_keep_their_bounds() -> None:
    """An utterance cut out of a call begins a breath into its clip; words come along."""
    call = read_fixture(AUDIO / "short-answers.wav")
    cut = clips(call)
    assert [clip.utterance.text for clip in cut] == [said.text for said in call.utterances]
    for clip, said in zip(cut, call.utterances, strict=True):
        assert clip.utterance.start_ms == 60
        assert clip.utterance.end_ms - 60 == said.end_ms - said.start_ms
        assert len(clip.samples) == (said.end_ms - said.start_ms + 120) * 8
        assert [word.word for word in clip.utterance.words] == [word.word for word in said.words]


def test_a_recording_without_times_is_bounded_by_loudness() -> None:
    """A prompt of which only the words are known speaks where it is loud, at whatever rate it was made."""
    samples = np.zeros(16_000, np.int16)
    samples[4_000:12_000] = (np.sin(np.arange(8_000) / 4) * 9_000).astype(np.int16)
    (clip,) = clips(recording(samples, "Press one.", rate=16_000))
    assert clip.utterance.start_ms == 60
    assert clip.utterance.end_ms - clip.utterance.start_ms == pytest.approx(500, abs=20)


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(recording(np.full(RATE, 900, np.int16), None), id="words-unknown"),
        pytest.param(recording(np.full(RATE, 900, np.int16), ""), id="no-words"),
        pytest.param(recording(np.zeros(RATE, np.int16), "Hello."), id="no-sound"),
        pytest.param(recording(np.full(21 * RATE, 900, np.int16), "A speech."), id="too-long"),
    ],
)
def test_what_lends_no_clip(call: BenchCall) -> None:
    """Without words, sound or a reasonable length there is nothing to lend."""
    assert clips(call) == []
