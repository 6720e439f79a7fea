"""What one process is trusted with."""

from __future__ import annotations

import pytest

from bridge.capacity import capacity_of, heard_s, listening
from tests.clock import VirtualClock
from tests.engines import ScriptedEngine


@pytest.mark.parametrize(("heard_s", "calls"), [(0.006, 50), (0.003, 100), (0.012, 25), (1.0, 1)])
def test_a_loop_twice_as_fast_hears_twice_the_calls(heard_s: float, calls: int) -> None:
    """A machine that starts at all takes one call."""
    assert listening(heard_s) == calls


def test_a_second_of_sound_takes_a_while() -> None:
    """Far below a second, and far above what a leg costs on which Silero is asked about nothing."""
    assert 0.0005 < min(heard_s() for _ in range(3)) < 0.5


def test_a_recogniser_elsewhere_leaves_the_loop_to_decide(clock: VirtualClock) -> None:
    """What it has room for is nobody's to know at the start."""
    assert 1 <= capacity_of(ScriptedEngine(clock)) <= listening(0.0005)
