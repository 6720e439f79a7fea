"""Clients that ask for the words so far are always answered, if only by nothing."""

from __future__ import annotations


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
