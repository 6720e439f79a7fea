"""What has been told of a leg: the last segments as they are, those before them packed, at a sixth of the size."""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from bridge.model.words import Segment

OPEN: Final = 50
"""Segments that are not packed: nearly all questions are about these."""


@dataclass(slots=True)
class Told:
    """What the recogniser said, and what was made of it."""

    source: Segment
    pieces: list[Segment]


class ToldSegments:
    """By the recogniser's number, in the order they were told."""

    def __init__(self) -> None:
        self._packed: dict[int, bytes] = {}
        self._open: dict[int, Told] = {}

    def __len__(self) -> int:
        return len(self._packed) + len(self._open)

    def keep(self, number: int, told: Told) -> None:
        """A new one, or in its place one that has changed."""
        if number in self._packed:
            self._packed[number] = _pack(told)
            return
        self._open[number] = told
        if len(self._open) > OPEN:
            oldest = next(iter(self._open))
            self._packed[oldest] = _pack(self._open.pop(oldest))

    def pop(self, number: int) -> Told | None:
        """None when there is none of this number."""
        packed = self._packed.pop(number, None)
        return self._open.pop(number, None) if packed is None else _unpack(packed)

    def last(self, count: int) -> Iterator[tuple[int, Told]]:
        """With their numbers, oldest first."""
        skipped = max(0, len(self) - count)
        for number in list(islice(self._packed, skipped, None)):
            yield number, _unpack(self._packed[number])
        yield from list(islice(self._open.items(), max(0, skipped - len(self._packed)), None))


def _pack(told: Told) -> bytes:
    return zlib.compress(pickle.dumps((told.source, told.pieces), pickle.HIGHEST_PROTOCOL), 1)


def _unpack(packed: bytes) -> Told:
    return Told(*pickle.loads(zlib.decompress(packed)))  # noqa: S301  # packed here, in this process
