"""Numbers for a leg's segments when one may become several: inside the recogniser's, outside those that are told."""

from __future__ import annotations


class Numbering:
    """One leg. Outside numbers go up in the order they are first needed, and none is given twice."""

    def __init__(self, first: int) -> None:
        self._last = first - 1
        self._outside: dict[int, list[int]] = {}

    def keep(self, number: int) -> int:
        """It has been given by an earlier process: by what its segment goes inside, where it has no other number."""
        self._outside[-number] = [number]
        return -number

    def first(self, inside: int) -> int:
        """The number of a segment, or of the first of its pieces."""
        return self.pieces(inside, 1)[0]

    def pieces(self, inside: int, count: int) -> list[int]:
        """As many numbers, those it has had before all others."""
        numbers = self._outside.setdefault(inside, [])
        while len(numbers) < count:
            self._last += 1
            numbers.append(self._last)
        return numbers[:count]
