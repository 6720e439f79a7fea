"""Which words of a partial stand: what two hypotheses in a row share, but for the last word, which may be cut in half.

The idea is LocalAgreement (Liu et al. 2020, arXiv:2005.11185; Macháček et al. 2023, arXiv:2307.14743).
"""

from __future__ import annotations

from collections.abc import Sequence

from bridge.ports import DecodedWord


def bare(word: str) -> str:
    """A word as it is compared: no case, no punctuation at its edges."""
    return word.casefold().strip(".,!?;:…\"'()[]-–—¿¡«»„“”‘’、。！？，")


class Agreement:
    """One utterance's words, confirmed and still in doubt. Times are samples since the utterance began."""

    def __init__(self) -> None:
        self.confirmed: list[DecodedWord] = []
        self.doubtful: list[DecodedWord] = []

    def hear(self, words: Sequence[DecodedWord]) -> None:
        """A new hypothesis of everything behind the confirmed words."""
        shared = 0
        for old, new in zip(self.doubtful, words[:-1], strict=False):
            if bare(old.text) != bare(new.text):
                break
            shared += 1
        self.confirmed.extend(words[:shared])
        self.doubtful = list(words[shared:])

    @property
    def stable_text(self) -> str:
        """What later texts keep as their beginning."""
        return joined(self.confirmed)

    @property
    def text(self) -> str:
        """Everything, the doubtful words too."""
        return joined([*self.confirmed, *self.doubtful])


def joined(words: Sequence[DecodedWord]) -> str:
    """Words as text: the spaces they came with, none at either end."""
    return "".join(word.spaced for word in words).strip()
