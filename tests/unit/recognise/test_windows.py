"""Windows, token caps, loops and pace: arithmetic that decides what a decode costs."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.frame import SAMPLE_RATE
from bridge.recognise.pace import PARTIAL_S, STOP_FROM, context_room, partial_interval_s
from bridge.recognise.whisper import without_loop
from bridge.recognise.window import (
    BRISK_BUCKETS_S,
    BUCKETS_S,
    FULL_WINDOW_S,
    LONGEST_S,
    PARTIAL_BUCKETS_S,
    PREVIOUS_TOKENS,
    TAIL_S,
    hurried,
    previous_length,
    token_cap,
    window_s,
)

samples_of_speech = st.integers(0, int(LONGEST_S * SAMPLE_RATE))


@given(samples=samples_of_speech, buckets=st.sampled_from([BUCKETS_S, BRISK_BUCKETS_S, PARTIAL_BUCKETS_S]))
def test_a_window_is_the_smallest_bucket_that_holds_speech_and_tail(samples: int, buckets: tuple[int, ...]) -> None:
    """Never shorter than speech and quiet tail, and no smaller bucket would do."""
    window = window_s(samples, buckets)
    assert window in buckets
    assert window >= samples / SAMPLE_RATE + TAIL_S
    assert all(bucket < samples / SAMPLE_RATE + TAIL_S for bucket in buckets if bucket < window)


def test_more_than_a_window_holds_gets_the_full_one() -> None:
    """Whisper has no longer one; whoever plans the job refuses what does not fit."""
    assert window_s(29 * SAMPLE_RATE) == FULL_WINDOW_S


@given(samples=samples_of_speech)
def test_a_token_cap_leaves_room_for_fast_speech(samples: int) -> None:
    """Five tokens a second is hurried English; a final's cap is above it, and a partial's is no higher than a final's."""
    assert token_cap(samples) > 5 * samples / SAMPLE_RATE
    assert hurried(samples) < token_cap(samples, partial=True) <= token_cap(samples)


@pytest.mark.parametrize(("tokens", "length"), [(0, 0), (15, 0), (16, 16), (31, 16), (63, 32), (64, 64), (999, 64)])
def test_previous_text_comes_in_few_lengths(tokens: int, length: int) -> None:
    """Jobs of one batch need the same number of previous tokens, so there are four."""
    assert previous_length(tokens) == length
    assert length in PREVIOUS_TOKENS


NO, COMMA, STOP = 1, 2, 3
LOOPS = {
    "nothing": ([], []),
    "plain words": ([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]),
    "no, no": ([NO, COMMA, NO], [NO, COMMA, NO]),
    "seven seven": ([7, 7, 3], [7, 7, 3]),
    "a word three times": ([4, NO, NO, NO], [4, NO]),
    "a phrase three times": ([9, 1, 2, 1, 2, 1, 2, 8], [9, 1, 2]),
    "a phrase of four twice is said": ([1, 2, 3, 4, 1, 2, 3, 4], [1, 2, 3, 4, 1, 2, 3, 4]),
    "a sentence of five twice is a loop": ([9, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5], [9, 1, 2, 3, 4, 5]),
    "a loop that is cut off": ([9, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2], [9, 1, 2, 3]),
}


@pytest.mark.parametrize(("tokens", "kept"), LOOPS.values(), ids=LOOPS.keys())
def test_what_is_said_over_and_over_is_kept_once(tokens: list[int], kept: list[int]) -> None:
    """People repeat a word; a decode that has run away repeats without end."""
    assert without_loop(tokens) == kept


@given(tokens=st.lists(st.integers(0, 3), max_size=40))
def test_what_is_kept_is_a_beginning_and_has_no_loop(tokens: list[int]) -> None:
    """Nothing is made up, and the same cut again changes nothing."""
    kept = without_loop(tokens)
    assert tokens[: len(kept)] == kept
    assert bool(kept) == bool(tokens)


PRESSURES = [n / 100 for n in range(101)]


def test_partials_thin_out_before_they_stop_and_come_back_by_themselves() -> None:
    """Idle: the usual pace. The busier, the rarer; from `STOP_FROM` on none. It hangs on the pressure alone."""
    intervals = [partial_interval_s(pressure) for pressure in PRESSURES]
    assert intervals[0] == PARTIAL_S
    assert intervals[-1] is None
    going = [interval for interval in intervals if interval is not None]
    assert all(sooner <= later for sooner, later in pairwise(going))
    assert going[-1] > 2 * PARTIAL_S
    assert [interval is None for interval in intervals] == [pressure >= STOP_FROM for pressure in PRESSURES]


@given(samples=samples_of_speech)
def test_context_fits_the_window_and_costs_nothing_under_load(samples: int) -> None:
    """Speech and context never outgrow what a job may carry; a busy engine's window is no longer for its context."""
    ample, scarce = context_room(samples, busy=False), context_room(samples, busy=True)
    assert 0 <= scarce <= ample
    assert samples + ample <= LONGEST_S * SAMPLE_RATE
    assert window_s(samples + scarce, BRISK_BUCKETS_S) == window_s(samples, BRISK_BUCKETS_S)
