"""glibc's heap, told to keep what decoding frees, as each token takes and gives back megabytes, and nothing else."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from typing import Final

M_TRIM_THRESHOLD: Final = -1
M_TOP_PAD: Final = -2
M_MMAP_THRESHOLD: Final = -3
"""malloc.h, mallopt(3)."""

KEPT: Final = 1 << 30
GROWTH: Final = 1 << 26


def give_back_heap() -> None:
    """What is free now goes back to the kernel, from all threads' arenas: after something large that comes seldom."""
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def keep_heap() -> None:
    """Let freed memory stay with the process. Without it the kernel maps, clears and unmaps the same pages at every
    step of a batch of four, a tenth of its time. Where the C library is another, nothing is done.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # TypeError: Windows has no library without a name
        return
    mallopt(M_MMAP_THRESHOLD, KEPT)
    mallopt(M_TRIM_THRESHOLD, KEPT)
    mallopt(M_TOP_PAD, GROWTH)
