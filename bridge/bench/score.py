"""How right a transcript is: words aligned at the least cost, and what that says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from bridge.bench.normalise import normalise

Pair: TypeAlias = tuple[str | None, str | None]
"""A reference word and what was heard for it; None on the left is an invented word, on the right a lost one."""
_FAR: Final = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class WordErrors:
    """Counts over one text or, added up, over many."""

    words: int = 0
    """In the reference."""
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    def __add__(self, other: WordErrors) -> WordErrors:
        return WordErrors(
            words=self.words + other.words,
            substitutions=self.substitutions + other.substitutions,
            deletions=self.deletions + other.deletions,
            insertions=self.insertions + other.insertions,
        )

    @property
    def errors(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors per reference word, 0 for a right text; may pass 1. Without reference words, the count of errors."""
        return self.errors / max(self.words, 1)


def word_errors(reference: str, heard: str, language: str = "en") -> WordErrors:
    """Compare two texts, number forms normalised on both sides."""
    return count(align(normalise(reference, language), normalise(heard, language)))


def lost_at_end(reference: str, heard: str, language: str = "en") -> int:
    """How many of the last reference words were not heard at all."""
    pairs = align(normalise(reference, language), normalise(heard, language))
    said = [pair for pair in pairs if pair[0] is not None]
    return sum(1 for _ in takewhile(lambda pair: pair[1] is None, reversed(said)))


def invented(heard: str, language: str = "en") -> int:
    """Words in a text for audio where nobody spoke; hesitations count too."""
    return len(normalise(heard, language, fillers=True))


def count(pairs: Sequence[Pair]) -> WordErrors:
    """The alignment in numbers."""
    return WordErrors(
        words=sum(said is not None for said, _ in pairs),
        substitutions=sum(None not in {said, heard} and said != heard for said, heard in pairs),
        deletions=sum(heard is None for _, heard in pairs),
        insertions=sum(said is None for said, _ in pairs),
    )


def align(reference: Sequence[str], heard: Sequence[str]) -> list[Pair]:
    """Pair the words at the least number of errors (Levenshtein).

    Writing one word as two is no error ("voice mail", "voicemail"): the reference's words then pair with themselves.
    """
    cost = _costs(reference, heard)
    pairs: list[Pair] = []
    row, column = len(reference), len(heard)
    while row or column:
        here = cost[row, column]
        said = reference[row - 1] if row else ""
        word = heard[column - 1] if column else ""
        if row and column and here == cost[row - 1, column - 1] + (said != word):
            pairs.append((said, word))
            row, column = row - 1, column - 1
        elif row > 1 and column and reference[row - 2] + said == word and here == cost[row - 2, column - 1]:
            pairs += [(said, said), (reference[row - 2], reference[row - 2])]
            row, column = row - 2, column - 1
        elif row and column > 1 and heard[column - 2] + word == said and here == cost[row - 1, column - 2]:
            pairs.append((said, said))
            row, column = row - 1, column - 2
        elif row and here == cost[row - 1, column] + 1:
            pairs.append((said, None))
            row -= 1
        else:
            pairs.append((None, word))
            column -= 1
    return pairs[::-1]


def _costs(reference: Sequence[str], heard: Sequence[str]) -> npt.NDArray[np.int64]:
    """Shape (len(reference) + 1, len(heard) + 1): the least errors between all beginnings of the two."""
    words = np.asarray(heard, dtype=object)
    joined = np.asarray(["", *(first + second for first, second in pairwise(heard))][: len(heard)], dtype=object)
    steps = np.arange(len(heard) + 1)
    cost = np.empty((len(reference) + 1, len(heard) + 1), np.int64)
    cost[0] = steps
    for row, said in enumerate(reference, 1):
        best = np.concatenate([[row], np.minimum(cost[row - 1, :-1] + (words != said), cost[row - 1, 1:] + 1)])
        if len(heard) > 1:
            best[2:] = np.minimum(best[2:], np.where(joined[1:] == said, cost[row - 1, :-2], _FAR))
        if row > 1 and len(heard):
            best[1:] = np.minimum(best[1:], np.where(words == reference[row - 2] + said, cost[row - 2, :-1], _FAR))
        cost[row] = np.minimum.accumulate(best - steps) + steps  # the cheapest way that ends in inserted words
    return cost
