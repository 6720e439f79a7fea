"""What CTranslate2 should make of this machine's processor."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

ISA: Final = "CT2_FORCE_CPU_ISA"
"""CTranslate2's own variable. It reads it once, when the first model is loaded."""

CPUINFO: Final = Path("/proc/cpuinfo")

WANTED: Final = frozenset({"avx512f", "avx512cd", "avx512dq", "avx512bw", "avx512vl", "avx512_vnni"})
"""What the kernels need, and VNNI: processors that have it do not slow down for wide registers as older ones did."""


def choose_kernels(cpuinfo: Path = CPUINFO) -> None:
    """Have CTranslate2 use its AVX-512 kernels where they pay; by itself it stops at AVX2. A choice in the environment
    stands, and nothing changes where there is no `cpuinfo`.
    """
    try:
        lines = cpuinfo.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    if WANTED.issubset(flags):
        os.environ.setdefault(ISA, "AVX512")
