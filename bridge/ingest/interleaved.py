"""Channels that travel in one payload, a sample of each in turn."""

from __future__ import annotations

SAMPLE_BYTES = 2
"""Of L16."""


def apart(run: bytes, channels: int) -> tuple[list[bytes], bytes]:
    """L16 of several channels as a payload each, and what a last, unfinished turn has: it belongs before the next run.

    Whichever byte of a sample comes first, it still does.
    """
    whole = len(run) - len(run) % (SAMPLE_BYTES * channels)
    samples = memoryview(run[:whole]).cast("h")
    return [samples[channel::channels].tobytes() for channel in range(channels)], run[whole:]
