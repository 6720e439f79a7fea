"""A short form of `make sim`: some seeds, that a seed is the same twice, and that a broken product is noticed.

In processes of their own: the simulation puts itself in the place of `os`, `secrets` and the event loop.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def sim(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.sim", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603  # our own


def test_some_seeds() -> None:
    """Whatever goes wrong in them, every promise holds once all has come to rest."""
    done = sim("--seeds", "25")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("25 seeds from 0, 0 broken")


def test_a_seed_is_the_same_story_twice() -> None:
    """Every event, id, time and try of a webhook: the one command that is printed replays what was seen."""
    first, second = (sim("--seeds", "5", "--digests").stdout.splitlines()[:5] for _ in range(2))
    assert first == second
    assert len(set(first)) == 5


def test_what_is_broken_on_purpose_is_noticed() -> None:
    """Each promise has a seed that sees it broken."""
    done = sim("--mutations", "--seeds", "60")
    assert done.returncode == 0, done.stdout + done.stderr
