"""What a speaker encoder's numbers mean: how alike two stretches of one voice are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bridge.model.frame import from_ms

Vector: TypeAlias = npt.NDArray[np.float32]
"""Shape (d,), length 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """Measured once an encoder. Similarities are cosines of unit vectors."""

    window_ms: int
    """What it hears at a time."""
    hop_ms: int
    join: float
    """A window as like a group of windows as this belongs to it."""
    same: float
    """Groups as alike as this are one voice."""
    third: float
    """A group as like another as this is no third voice while little is heard of it: a line has two parties."""
    known: float
    """A speaker as like an enrolled voice as this is its owner."""
    least_ms: int
    """A voice heard for less than this is no speaker yet: noise, laughter, two at once."""

    @property
    def window(self) -> int:
        """In samples."""
        return from_ms(self.window_ms)

    @property
    def hop(self) -> int:
        """In samples."""
        return from_ms(self.hop_ms)
