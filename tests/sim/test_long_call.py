"""A call that does not end: what it takes of memory does not grow with its length."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MINUTES = os.environ.get("MINUTES", "6")
"""`MINUTES=120` for two hours."""


def test_memory_does_not_grow_with_the_call() -> None:
    """Its last third takes no more than its second, everything between carrier and webhook included."""
    command = [sys.executable, "-m", "tests.sim.long_call", MINUTES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603  # our own
    assert done.returncode == 0, done.stdout + done.stderr
