"""What a machine is trusted with, by what it was measured to do."""

from __future__ import annotations

import pytest

from bridge.recognise.local import capacity


@pytest.mark.parametrize(
    ("final_s", "workers", "calls"), [(0.16, 2, 20), (0.16, 4, 40), (0.32, 2, 10), (0.005, 2, 640), (10.0, 1, 1)]
)
def test_a_machine_twice_as_fast_carries_twice_the_calls(final_s: float, workers: int, calls: int) -> None:
    """In proportion to workers and speed; a machine that starts at all takes one call."""
    assert capacity(final_s, workers) == calls
