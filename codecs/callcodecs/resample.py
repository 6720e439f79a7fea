"""Streaming change of sample rate, with the filter carried across frame edges (soxr).

Which of soxr's engines is a choice between lag and cost. Measured with 20 ms frames, to 16 kHz; lag is audio that has
gone in and has not come out yet, "images" are the loudest thing that a tone leaves elsewhere in the spectrum:

| from   | engine         | lag, ms (min mean max) | −3 dB at | images       | per 20 ms |
|--------|----------------|------------------------|----------|--------------|-----------|
| 8 kHz  | fixed, QQ      | 0                      | 3.2 kHz  | only −7 dB   | 5 µs      |
| 8 kHz  | fixed, LQ      | 4    32    61          | 3.2 kHz  | under −104 dB | 4 µs     |
| 8 kHz  | fixed, MQ      | 10   64    118         | 3.8 kHz  | under −107 dB | 4 µs     |
| 8 kHz  | fixed, HQ      | 13   64    115         | 3.8 kHz  | under −130 dB | 4 µs     |
| 8 kHz  | variable       | 30, always             | 3.7 kHz  | under −120 dB | 8 µs     |
| 24 kHz | fixed, HQ      | 6    21    37          | 7.6 kHz  | under −130 dB | 4 µs     |
| 24 kHz | variable       | 10, always             | > 7.5 kHz | under −106 dB | 12 µs   |
| 48 kHz | fixed, HQ      | 6    21    37          | 7.6 kHz  | under −130 dB | 4 µs     |
| 48 kHz | variable       | 13, always             | > 7.5 kHz | under −111 dB | 36 µs   |

The fixed engine works in large blocks when it raises the rate: a word would wait up to a tenth of a second for its
block to fill. So up goes the variable-rate engine (at a rate that never varies; telephone lines end at 3.4 kHz), and
down the fixed one at HQ, which is cheap and late by little.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import soxr

Floats: TypeAlias = npt.NDArray[np.float32]
"""Mono samples, shape (n,), full scale ±1."""

_NOTHING: Floats = np.zeros(0, dtype=np.float32)


class Resampler:
    """A stream of mono samples from one rate to another: any cutting into frames gives the same samples out.

    What comes out is aligned with what went in (the filter's delay is taken off), it only comes later: `pending` says
    by how much. n samples in are n·to/source out after `flush`, rounded.
    """

    def __init__(self, source: int, to: int) -> None:
        """Raises ValueError for rates that are not positive."""
        self._ratio = to / source if source > 0 else 0.0
        self._stream = soxr.ResampleStream(source, to, 1, dtype="float32", quality="HQ", vr=source < to)
        self._in = self._out = 0

    @property
    def pending(self) -> float:
        """Output samples owed for what has been pushed: the lag at this moment."""
        return self._in * self._ratio - self._out

    def push(self, samples: Floats) -> Floats:
        out: Floats = self._stream.resample_chunk(samples)
        self._in += len(samples)
        self._out += len(out)
        return out

    def flush(self) -> Floats:
        """The rest of what was pushed. Then it starts anew, as if nothing had ever been pushed."""
        if not self._in:
            return _NOTHING
        out: Floats = self._stream.resample_chunk(_NOTHING, last=True)
        self._stream.clear()
        self._in = self._out = 0
        return out
