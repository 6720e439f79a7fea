"""How much of Whisper's 30 s window a piece of speech needs, and how many tokens it can truthfully give.

The encoder's cost grows faster than the window, so short speech gets a short window. A window that ends with the
speech makes the decoder run on: the quiet tail stops most of it, the token cap catches the rest.
"""

from __future__ import annotations

from typing import Final

from bridge.model.frame import SAMPLE_RATE

FULL_WINDOW_S: Final = 30
"""What Whisper was trained on, and the longest it takes."""

TAIL_S: Final = 2.0
"""Quiet behind the speech."""

BUCKETS_S: Final = (8, 10, 12, 14, 16, 20, 25, FULL_WINDOW_S)
"""Window lengths in use. Jobs of one bucket can be decoded together."""

BRISK_BUCKETS_S: Final = (6, 7, *BUCKETS_S)
"""While the engine is busy. Read speech pays with one word in a hundred, prompts with none."""

PARTIAL_BUCKETS_S: Final = (4, 5, *BRISK_BUCKETS_S)
"""A partial may be wrong once in a while."""

LONGEST_S: Final = FULL_WINDOW_S - TAIL_S
"""The longest run of samples a job may carry."""

TOKENS_PER_S: Final = 7
TOKENS_AT_LEAST: Final = 10
PARTIAL_TOKENS_PER_S: Final = 5
PARTIAL_TOKENS_AT_LEAST: Final = 6
"""A partial that runs away is cut, not decoded again: a lower cap saves its cost."""

HURRIED_TOKENS_PER_S: Final = 5
HURRIED_TOKENS_AT_LEAST: Final = 2

PREVIOUS_TOKENS: Final = (0, 16, 32, 64)
"""How many tokens of previous text a decode may carry. CTranslate2 wants the start token at one place in all of a
batch, so the number is one of a few."""


def window_s(samples: int, buckets: tuple[int, ...] = BUCKETS_S) -> int:
    """The window for so many samples: speech plus tail, rounded up to a bucket."""
    wanted = samples / SAMPLE_RATE + TAIL_S
    return next((bucket for bucket in buckets if bucket >= wanted), FULL_WINDOW_S)


def token_cap(samples: int, *, partial: bool = False) -> int:
    """More tokens than so many samples of speech can say: a decode that gets there has run away."""
    if partial:
        return PARTIAL_TOKENS_AT_LEAST + round(PARTIAL_TOKENS_PER_S * samples / SAMPLE_RATE)
    return TOKENS_AT_LEAST + round(TOKENS_PER_S * samples / SAMPLE_RATE)


def hurried(samples: int) -> int:
    """As many tokens as so many samples of the most hurried speech say."""
    return HURRIED_TOKENS_AT_LEAST + round(HURRIED_TOKENS_PER_S * samples / SAMPLE_RATE)


def previous_length(tokens: int) -> int:
    """The largest allowed number of previous tokens that is not above `tokens`."""
    return max(length for length in PREVIOUS_TOKENS if length <= tokens)
