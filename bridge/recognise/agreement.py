"""Which words of a partial stand: what two hypotheses in a row share, but for the last word, which may be cut in half.

The idea is LocalAgreement (Liu et al. 2020, arXiv:2005.11185; Macháček et al. 2023, arXiv:2307.14743).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bridge.model.frame import from_ms
from bridge.ports import DecodedWord

CUT: Final = from_ms(150)
"""A word that ends so near the end of what was heard may go on."""

ECHO_WORDS: Final = 3
ECHO_WORD: Final = from_ms(120)
"""So many words said again, faster than people speak, are Whisper's habit of filling the quiet behind short speech."""


def bare(word: str) -> str:
    """A word as it is compared: no case, no punctuation at its edges."""
    return word.casefold().strip(".,!?;:…\"'()[]-–—¿¡«»„“”‘’、。！？，")


class Agreement:
    """One utterance's words, confirmed and still in doubt. Times are samples since the utterance began."""

    def __init__(self) -> None:
        self.confirmed: list[DecodedWord] = []
        self.doubtful: list[DecodedWord] = []
        self._heard_to = 0

    def hear(self, words: Sequence[DecodedWord], heard_to: int) -> None:
        """A new hypothesis of everything behind the confirmed words, in what was heard up to `heard_to`."""
        words = self._without_echo(words)
        self._heard_to = heard_to
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
        """What can be shown: the doubtful words too, but for one that may be cut in half, unless it is all there is."""
        words = [*self.confirmed, *self.doubtful]
        if self.doubtful and len(words) > 1 and words[-1].end > self._heard_to - CUT:
            words.pop()
        return joined(words)

    def _without_echo(self, words: Sequence[DecodedWord]) -> Sequence[DecodedWord]:
        """`words` up to where they begin to say in haste, to their end, what they or the confirmed ones have said."""
        said = [bare(word.text) for word in (*self.confirmed, *words)]
        before = len(self.confirmed)
        for start in range(len(words) - ECHO_WORDS + 1):
            echo = said[before + start :]
            hasty = words[-1].end - words[start].start < ECHO_WORD * len(echo)
            if hasty and any(said[place : place + len(echo)] == echo for place in range(before + start)):
                return words[:start]
        return words


def joined(words: Sequence[DecodedWord]) -> str:
    """Words as text: the spaces they came with, none at either end."""
    return "".join(word.spaced for word in words).strip()
