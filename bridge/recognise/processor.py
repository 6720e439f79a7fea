"""What CTranslate2 should make of this machine's processor, and how much of it there is for us."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

ISA: Final = "CT2_FORCE_CPU_ISA"
"""CTranslate2's own variable. It reads it once, when the first model is loaded."""

CPUINFO: Final = Path("/proc/cpuinfo")

THREADS: Final = Path("/proc/self/task")

WANTED: Final = frozenset({"avx512f", "avx512cd", "avx512dq", "avx512bw", "avx512vl", "avx512_vnni"})
"""What the kernels need, and VNNI: processors that have it do not slow down for wide registers as older ones did."""

VNNI: Final = frozenset({"avx512_vnni", "avx_vnni"})
"""For wide registers, or for those of AVX2: either will do."""


def choose_kernels(cpuinfo: Path = CPUINFO) -> None:
    """Have CTranslate2 use its AVX-512 kernels where they pay; by itself it stops at AVX2. A choice in the environment
    stands, and nothing changes where there is no `cpuinfo`.
    """
    if WANTED.issubset(_flags(cpuinfo)):
        os.environ.setdefault(ISA, "AVX512")


def has_vnni(cpuinfo: Path = CPUINFO) -> bool:
    """Whether products of 8-bit numbers are summed in 32 bits at once. Without, ONNX Runtime's may overflow."""
    return not VNNI.isdisjoint(_flags(cpuinfo))


def _flags(cpuinfo: Path) -> frozenset[str]:
    try:
        lines = cpuinfo.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), []))


def kept_waiting_s(threads: Path = THREADS) -> float:
    """Seconds in all, since they began, that threads of this process could have run and had no processor (Linux's
    `schedstat`, its second number, in ns). 0 where the system does not tell.
    """
    waited_ns = 0
    for file in threads.glob("*/schedstat"):
        with suppress(OSError, ValueError, IndexError):  # a thread that has just ended
            waited_ns += int(file.read_text("ascii").split()[1])
    return waited_ns / 1e9
