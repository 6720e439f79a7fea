"""Clients that ask for the words so far are always answered, if only by nothing."""

from __future__ import annotations

from typing import Final


class Flushing:
    """The `Finalise` wishes of one leg, and which of them a final has answered."""

    def __init__(self) -> None:
        self._asked = 0
        self._told = False

    def ask(self) -> None:
        self._asked += 1

    def final(self) -> bool:
        """A final is about to be told: whether it answers a wish."""
        self._told = bool(self._asked)
        return self._told

    def flushed(self) -> bool:
        """A `speech.flushed` has come: whether the wish that it ends has had no answer."""
        told, self._told = self._told, False
        if not self._asked:
            return False
        self._asked -= 1
        return not told


PAUSED_S: Final = 1.5
"""So long without a byte, and whoever has sent all is told the last words."""


class Lull:
    """Bytes that stop coming behind speech: a client that has sent all may say nothing more."""

    def __init__(self) -> None:
        self._unheard = False
        """Bytes have come since the last flush."""

    def heard(self) -> None:
        self._unheard = True

    def flushed(self) -> None:
        """The client has asked itself."""
        self._unheard = False

    def lasts(self, seconds: float) -> bool:
        """Nothing has come for so long: whether what was said is to be told now. Once a lull."""
        if seconds < PAUSED_S or not self._unheard:
            return False
        self._unheard = False
        return True
