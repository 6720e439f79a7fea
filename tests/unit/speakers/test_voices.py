"""Names for voices while a call goes on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bridge.model.likeness import Likeness, Vector
from bridge.speakers.grouping import directions
from bridge.speakers.voices import MOST_GROUPS, Voices
from tests.voices import voice

LIKENESS = Likeness(window_ms=1000, hop_ms=500, join=0.8, same=0.6, third=0.6, known=0.8, least_ms=1000)


def _between(one: int, other: int, share: float) -> Vector:
    return directions((share * voice(one) + (1 - share) * voice(other))[None])[0]


def _heard(*voices: Vector, seconds: float = 0.5) -> Voices:
    found = Voices(LIKENESS)
    for one in voices:
        found.hear(one, seconds)
    return found


def _names(voices: Voices, count: int) -> list[str]:
    return [voices.speaker(window) for window in range(count)]


def test_speakers_are_named_in_the_order_they_are_heard_and_known_again() -> None:
    voices = _heard(*[voice(4)] * 3, *[voice(2)] * 3, *[voice(4)] * 2)
    assert _names(voices, 8) == ["S1"] * 3 + ["S2"] * 3 + ["S1"] * 2


def test_a_voice_heard_for_a_moment_is_no_speaker() -> None:
    voices = _heard(*[voice(1)] * 4, voice(7))
    assert _names(voices, 5) == ["S1"] * 5


def test_a_moment_that_goes_on_becomes_a_speaker_and_that_is_a_changed_mind() -> None:
    voices = _heard(*[voice(1)] * 4)
    assert not voices.hear(voice(7), 0.5)
    assert voices.hear(voice(7), 0.5)
    assert _names(voices, 6) == ["S1"] * 4 + ["S2"] * 2


def test_another_mood_of_one_of_two_is_no_third_speaker() -> None:
    """0.5 alike: by itself another voice, beside two others none, live and when the call is over."""
    calm, cross, other = voice(1), _between(3, 1, 0.634), voice(2)
    lines = replace(LIKENESS, third=0.45)
    assert set(_names(_heard(*[calm] * 4, *[cross] * 4), 8)) == {"S1", "S2"}
    voices = Voices(lines)
    for one in [*[calm] * 4, *[other] * 4, *[cross] * 4]:
        voices.hear(one, 0.5)
    assert voices.whole() == _names(voices, 12) == ["S1"] * 4 + ["S2"] * 4 + ["S1"] * 4


def test_two_names_that_turn_out_to_be_one_voice_become_the_one_heard_more() -> None:
    """0.45 alike is two speakers; what lies between them, heard long enough, joins them."""
    one, other = voice(1), _between(3, 1, 0.66)
    voices = _heard(*[one] * 8, *[other] * 3)
    assert _names(voices, 11) == ["S1"] * 8 + ["S2"] * 3
    changed = [voices.hear(_between(3, 1, 0.45), 0.5) for _ in range(4)]
    assert any(changed)
    assert set(_names(voices, 15)) == {"S1"}


def test_many_kinds_of_noise_do_not_pile_up() -> None:
    rng = np.random.default_rng(3)
    voices = Voices(LIKENESS)
    for _ in range(3 * MOST_GROUPS):
        voices.hear(directions(rng.normal(0, 1, (1, 10)).astype(np.float32))[0], 0.1)
    assert len(voices._sums) <= MOST_GROUPS
    assert all(voices.speaker(window) for window in range(3 * MOST_GROUPS))


def test_the_whole_call_is_named_as_it_was_heard() -> None:
    voices = _heard(*[voice(4)] * 3, *[voice(2)] * 5, *[voice(4)] * 2)
    assert voices.whole() == ["S1"] * 3 + ["S2"] * 5 + ["S1"] * 2


def test_the_whole_call_puts_an_early_mistake_right() -> None:
    """A first window between two voices was taken for the one that spoke next; it is more like the other."""
    voices = _heard(_between(1, 2, 0.54), *[voice(2)] * 4, *[voice(1)] * 6)
    assert voices.whole()[0] == voices.speaker(10)


def test_a_name_that_nobody_has_any_more_is_given_again() -> None:
    voices = _heard(*[voice(1)] * 4, *[voice(2)] * 3)
    voices._names = ["S1", "S3"]
    voices.hear(voice(2), 0.5)
    for _ in range(2):
        voices.hear(voice(5), 0.5)
    assert _names(voices, 10) == ["S1"] * 4 + ["S3"] * 4 + ["S2"] * 2


def test_a_call_that_nobody_has_followed_is_named_in_order() -> None:
    voices = _heard(*[voice(4)] * 3, *[voice(2)] * 3)
    voices._names = ["S7", "S1"]
    assert voices.whole(keep_names=False) == ["S1"] * 3 + ["S2"] * 3


def test_a_known_voice_is_called_by_its_name_once_enough_of_it_is_heard() -> None:
    voices = Voices(LIKENESS)
    voices.known = {"Grace": voice(2), "Omar": voice(5)}
    for _ in range(5):
        voices.hear(voice(1), 0.5)
    changed = [voices.hear(_between(2, 3, 0.8), 0.5) for _ in range(6)]
    assert changed == [False, True, False, False, False, True]
    assert _names(voices, 11) == ["S1"] * 5 + ["Grace"] * 6
    assert voices.whole() == _names(voices, 11)


def test_a_known_name_is_given_to_the_speaker_most_like_it_alone() -> None:
    voices = Voices(LIKENESS)
    voices.known = {"Grace": voice(2)}
    like, more_like = 0.82 * voice(2) + 0.57 * voice(3), 0.86 * voice(2) - 0.51 * voice(3)
    for _ in range(6):
        voices.hear(like, 0.5)
    assert set(_names(voices, 6)) == {"Grace"}
    for _ in range(6):
        voices.hear(more_like, 0.5)
    assert set(_names(voices, 12)[:6]) in ({"S1"}, {"S2"})
    assert set(_names(voices, 12)[6:]) == {"Grace"}


def test_noise_that_piles_up_over_an_hour_is_no_speaker() -> None:
    """The same odd sound every minute, half a second each time: 30 s in all, and never a fiftieth of the speech."""
    voices = Voices(LIKENESS)
    for _ in range(60):
        for number in (1, 2):
            for _ in range(30):
                voices.hear(voice(number), 0.5)
        voices.hear(voice(7), 0.5)
    assert voices.speakers() == {"S1", "S2"}
    assert set(voices.whole()) == {"S1", "S2"}
