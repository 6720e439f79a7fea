"""Packets put in order and holes named: a reorder buffer without a clock (after RFC 3550 §A.1)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

T = TypeVar("T")

JUMP: Final = 3_000
"""A sequence number further off than this is no loss and no reordering: the sender has started to count anew."""
CAPACITY: Final = 1_024
"""Packets held at most; one more gives up the oldest hole."""


@dataclass(slots=True)
class ReorderCounts:
    """What became of the packets that were not simply next."""

    missing: int = 0
    """Given up, whether or not they came late."""
    late: int = 0
    """Came after their hole had been given up; dropped."""
    duplicate: int = 0
    """Came twice; the second is dropped."""
    stray: int = 0
    """Far off from the others, with nothing following on them; dropped."""


class ReorderBuffer(Generic[T]):
    """Items in the order of their sequence numbers.

    What is next goes through at once. Behind a hole items are held until the missing one comes or until more than
    `patience` of audio waits (in whatever unit `length` is told): it is audio and not time that passes, so a replay at
    any speed gives the same result, and a sender that falls silent leaves the rest to `flush`.

    Differences of sequence numbers are taken modulo 2¹⁶. That is right for RTP's 16 bits and, as no hole is as long
    as 32,768 packets, for every wider counter too.
    """

    def __init__(self, patience: int) -> None:
        self.counts = ReorderCounts()
        self._patience = patience
        self._begun = False
        self._next = 0
        """The number that is due, counted on beyond its wrap-around, as are those below."""
        self._first = 0
        """The number that the sender's count began with, as far as is known."""
        self._held: dict[int, tuple[int, T]] = {}
        self._held_length = 0
        self._given_up: deque[int] = deque(maxlen=CAPACITY)
        self._stray: tuple[int, T] | None = None

    def push(self, sequence: int, length: int, item: T) -> list[tuple[int, T]]:
        """Items that are in order now, each with the count of sequence numbers given up just before it."""
        if not self._begun:
            self._begun, self._next, self._first = True, sequence, sequence
        ahead = _distance(self._next, sequence)
        if abs(ahead) > JUMP:
            return self._jumped(sequence, item)
        self._stray = None
        if not ahead and not self._held:
            self._next += 1
            return [(0, item)]
        if ahead < 0:
            self._behind(self._next + ahead)
            return []
        if self._next + ahead in self._held:
            self.counts.duplicate += 1
            return []
        self._held[self._next + ahead] = (length, item)
        self._held_length += length
        return self._release(self._patience)

    def before_first(self, sequence: int) -> int:
        """By how many numbers an item belongs in front of the first one that came; 0 for any other."""
        ahead = _distance(self._next, sequence)
        return max(0, self._first - (self._next + ahead)) if self._begun and abs(ahead) <= JUMP else 0

    def flush(self) -> list[tuple[int, T]]:
        """Everything that is held, its holes given up. The next push goes on from there."""
        return self._release(-1)

    def _release(self, patience: int) -> list[tuple[int, T]]:
        released: list[tuple[int, T]] = []
        missing = 0
        while self._held:
            if self._next in self._held:
                length, item = self._held.pop(self._next)
                self._held_length -= length
                self._next += 1
                released.append((missing, item))
                missing = 0
            elif self._held_length > patience or len(self._held) > CAPACITY:
                found = min(self._held)
                self._given_up.extend(range(self._next, found))
                missing = found - self._next
                self.counts.missing += missing
                self._next = found
            else:
                break
        return released

    def _behind(self, sequence: int) -> None:
        if sequence in self._given_up:
            self._given_up.remove(sequence)
            self.counts.late += 1
        else:
            self.counts.duplicate += 1

    def _jumped(self, sequence: int, item: T) -> list[tuple[int, T]]:
        """One far-off packet is a stray. A second that follows on it shows that the sender counts anew."""
        self.counts.stray += 1
        stray, self._stray = self._stray, (sequence, item)
        if stray is None or _distance(stray[0], sequence) != 1:
            return []
        self._stray = None
        self.counts.stray -= 2
        released = self.flush()
        self._next, self._first = sequence + 1, stray[0]
        return [*released, (0, stray[1]), (0, item)]


def _distance(expected: int, sequence: int) -> int:
    return ((sequence - expected + 0x8000) & 0xFFFF) - 0x8000
