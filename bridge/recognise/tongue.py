"""Which language a leg speaks: given, or found in its first confident speech and then held."""

from __future__ import annotations

from collections import Counter
from typing import Final

from bridge.model.frame import SAMPLE_RATE
from bridge.ports import Decoded

SURE: Final = 0.6
LONG_ENOUGH: Final = SAMPLE_RATE
TRIES: Final = 4
"""After so many finals without a sure answer the commonest one is held."""


class Tongue:
    """One leg's language."""

    def __init__(self, given: str | None) -> None:
        self.held = given
        """None while it must still be detected."""
        self._seen: Counter[str] = Counter()

    def hear(self, decoded: Decoded, samples: int) -> None:
        """A final of `samples` length was decoded."""
        if self.held is not None:
            return
        self._seen[decoded.language] += 1
        if decoded.language_probability >= SURE and samples >= LONG_ENOUGH:
            self.held = decoded.language
        elif self._seen.total() >= TRIES:
            self.held = self._seen.most_common(1)[0][0]
