"""Channels that travel in one payload, a sample of each in turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

FORMATS: Final[Mapping[int, Literal["B", "h"]]] = {1: "B", 2: "h"}
"""By the bytes of a sample: G.711 has one, L16 two."""


def apart(run: bytes, channels: int, sample_bytes: int = 2) -> tuple[list[bytes], bytes]:
    """Several channels as a payload each, and what a last, unfinished turn has: it belongs before the next run.

    Whichever byte of a sample comes first, it still does.
    """
    whole = len(run) - len(run) % (sample_bytes * channels)
    samples = memoryview(run[:whole]).cast(FORMATS[sample_bytes])
    return [samples[channel::channels].tobytes() for channel in range(channels)], run[whole:]
