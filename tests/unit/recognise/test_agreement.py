"""Which words of a partial stand, what goes before a decode, and where long speech is cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.frame import from_ms
from bridge.ports import DecodedWord
from bridge.recognise.agreement import CUT, ECHO_WORD, Agreement
from bridge.recognise.context import GAP, PREVIOUS_CHARACTERS, Context, Said
from bridge.recognise.tongue import LONG_ENOUGH, TRIES, Tongue
from bridge.recognise.utterance import LOUDNESS, Utterance
from tests.engines import said


def words(*texts: str, ends_at: int = 0) -> list[DecodedWord]:
    """The last one ends at `ends_at`."""
    return [DecodedWord(text=text, start=ends_at - 1, end=ends_at, probability=1.0) for text in texts]


def hear(agreement: Agreement, *texts: str) -> tuple[str, str]:
    """What stands and what is shown of words that end well before what was heard does."""
    agreement.hear(words(*texts), CUT)
    return agreement.stable_text, agreement.text


def test_what_two_hypotheses_share_is_confirmed_but_for_the_last_word() -> None:
    """The last word may have been cut in half; case and punctuation do not count."""
    agreement = Agreement()
    assert hear(agreement, "good", "morn") == ("", "good morn")
    assert hear(agreement, "Good", "morning,", "how") == ("Good", "Good morning, how")
    assert hear(agreement, "morning", "how", "can") == ("Good morning how", "Good morning how can")


def test_a_word_at_the_end_of_what_was_heard_is_not_shown_yet() -> None:
    """It may be half of one. A single word is better than none."""
    agreement = Agreement()
    agreement.hear(words("morn", ends_at=8000), 8000)
    assert agreement.text == "morn"
    agreement.hear(words("good", "morn", ends_at=8000), 8000 + CUT - 1)
    assert agreement.text == "good"
    agreement.hear(words("good", "morn", ends_at=8000), 8000 + CUT)
    assert agreement.text == "good morn"


@pytest.mark.parametrize(
    ("confirmed", "heard", "shown"),
    [
        ("", "press one to stop press one to", "press one to stop"),
        ("press one", "to stop. Press one to stop", "press one to stop."),
        ("press one to stop", "Press one to", "press one to stop"),
        ("", "no no no no", "no"),
        ("", "press one press one", "press one press one"),
        ("", "press one to stop press one to go", "press one to stop press one to go"),
    ],
)
def test_what_is_said_all_over_again_in_no_time_is_not_shown(confirmed: str, heard: str, shown: str) -> None:
    """Whisper does so on short speech."""
    agreement = Agreement()
    agreement.confirmed = words(*confirmed.split())
    assert hear(agreement, *heard.split()) == (confirmed, shown)


def test_what_somebody_says_again_is_shown() -> None:
    """A number said twice, as fast as people speak."""
    number = ["five", "five", "five", "one", "two", "three"]
    spoken = [
        DecodedWord(text=word, start=n * ECHO_WORD, end=(n + 1) * ECHO_WORD, probability=1.0)
        for n, word in enumerate(number * 2)
    ]
    agreement = Agreement()
    agreement.hear(spoken, len(spoken) * ECHO_WORD + CUT)
    assert agreement.text == " ".join(number * 2)


@given(hypotheses=st.lists(st.lists(st.sampled_from(["a", "b", "A.", "c"]), max_size=6), max_size=12))
def test_stable_text_only_grows_whatever_is_heard(hypotheses: list[list[str]]) -> None:
    """It is a prefix of the text, and of every stable text that follows."""
    agreement = Agreement()
    stable = ""
    for hypothesis in hypotheses:
        hear(agreement, *hypothesis)
        assert agreement.stable_text.startswith(stable)
        assert agreement.text.startswith(agreement.stable_text)
        stable = agreement.stable_text


lengths = st.lists(st.integers(1, 400), min_size=1, max_size=12)


@given(lengths=lengths, room=st.integers(0, 30_000), longest=st.integers(5_000, 40_000))
def test_a_window_has_the_newest_speech_that_fits_and_older_text_before_it(
    lengths: list[int], room: int, longest: int
) -> None:
    """Audio and its forced text belong together, the order is kept, and nothing is both audio and previous text."""
    context = Context(longest)
    for number, length in enumerate(lengths):
        context.add(Said(samples=np.full(length, number, np.float32), text=f"t{number}"))
    new = np.full(50, -1, np.float32)
    window = context.window(new, room)
    assert np.array_equal(window.samples[window.offset :], new)
    assert window.offset <= max(room, 0)
    everything = f"{window.previous_text} {window.prefix_text}".split()
    assert everything == [f"t{number}" for number in range(len(lengths))]
    taken = window.prefix_text.split()
    assert window.offset == sum(lengths[int(text[1:])] + GAP for text in taken)


def test_previous_text_stays_short_and_empty_text_is_no_context() -> None:
    """An hour of talk leaves a few hundred characters; what said nothing leaves nothing."""
    context = Context(1000)
    for _ in range(500):
        context.add(Said(samples=np.zeros(100, np.float32), text="one more sentence"))
        context.add(Said(samples=np.zeros(100, np.float32), text=""))
    window = context.window(np.zeros(10, np.float32), 0)
    assert len(window.previous_text) <= PREVIOUS_CHARACTERS
    assert (window.prefix_text, window.offset) == ("", 0)


def test_long_speech_is_cut_at_the_quietest_place() -> None:
    """The cut lies in the middle of the softest 40 ms of the stretch looked at."""
    loud = np.full(40 * LOUDNESS, 0.3, np.float32)
    loud[30 * LOUDNESS : 31 * LOUDNESS] = 0.01
    loud[3 * LOUDNESS : 4 * LOUDNESS] = 0.0
    utterance = Utterance(1000, 1200)
    utterance.hear(loud)
    place = utterance.quietest(1000 + 20 * LOUDNESS, utterance.end)
    assert place == 1000 + 30 * LOUDNESS + LOUDNESS // 2
    rest = utterance.cut(place)
    assert (utterance.over, utterance.end, rest.start) == (True, place, place)
    assert np.array_equal(np.concatenate([utterance.audio(0, place), rest.audio(place, rest.end)]), loud)


def test_what_is_spoken_ends_a_little_behind_the_voice() -> None:
    """A last consonant is quieter than a detector's threshold."""
    utterance = Utterance(0, 0)
    utterance.hear(np.ones(16_000, np.float32))
    assert len(utterance.spoken()) == 16_000
    utterance.paused = 8_000
    assert len(utterance.spoken()) == 8_000 + from_ms(160)


def test_a_given_language_is_held() -> None:
    """Whatever is found."""
    tongue = Tongue("de")
    tongue.hear(said([], language="fr", sure=1.0), 10 * LONG_ENOUGH)
    assert tongue.held == "de"


def test_a_sure_answer_in_enough_speech_is_held_and_doubt_ends_with_the_commonest() -> None:
    """Short or doubtful speech decides nothing by itself; after a few of it the commonest answer counts."""
    tongue = Tongue(None)
    tongue.hear(said([], language="cy", sure=0.99), LONG_ENOUGH - 1)
    tongue.hear(said([], language="nl", sure=0.5), LONG_ENOUGH)
    assert tongue.held is None
    tongue.hear(said([], language="de", sure=0.6), LONG_ENOUGH)
    tongue.hear(said([], language="fr", sure=1.0), 10 * LONG_ENOUGH)
    assert tongue.held == "de"
    doubtful = Tongue(None)
    for language in ("de", "nl", "nl", "cy")[:TRIES]:
        doubtful.hear(said([], language=language, sure=0.4), LONG_ENOUGH)
    assert doubtful.held == "nl"
