"""Recordings that come with the package, links to the project's fixtures: for `demo` to show, `doctor` to try."""

from __future__ import annotations

from pathlib import Path
from typing import Final

TWO_PARTY: Final = Path(__file__).parent / "two-party.wav"
"""A call of 78 s, caller left and agent right, with its exact reference in the .json beside it."""
