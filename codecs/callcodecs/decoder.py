"""The shape every decoder has, and the samples it gives."""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Pcm: TypeAlias = npt.NDArray[np.int16]
"""Mono linear samples, shape (n,), native byte order, full scale ±32768."""


class Decoder(Protocol):
    """One stream's payloads, in order, to linear samples. May keep state from payload to payload."""

    @property
    def sample_rate(self) -> int:
        """Samples a second that `decode` gives, whatever clock the carrier's timestamps run on."""
        ...

    def count(self, payload: bytes) -> int:
        """How many samples this payload stands for, told without decoding it: 0 when it cannot be told."""
        ...

    def decode(self, payload: bytes) -> Pcm:
        """Empty in, empty out. Raises CorruptPayloadError; the decoder stays usable."""
        ...

    def lost(self) -> None:
        """Payloads are missing here: drop what would be wrongly joined with the next one."""
        ...
