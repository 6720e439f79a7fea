"""Timestamps as positions."""

from __future__ import annotations

import math

import pytest

from bridge.audio.clock import JUMP, StreamClock
from bridge.model.frame import SAMPLE_RATE

SECOND = SAMPLE_RATE
UNIX_MS = 1_760_000_000_000


@pytest.mark.parametrize(
    ("asked", "position"),
    [
        pytest.param([(0, 0)], 0, id="start"),
        pytest.param([(61, 0)], 976, id="late-start"),
        pytest.param([(20.5, 0)], 328, id="fraction"),
        pytest.param([(None, 5)], None, id="none-given"),
        pytest.param([(math.nan, 5)], None, id="not-a-number"),
        pytest.param([(math.inf, 5)], None, id="infinite"),
        pytest.param([(1e308, 5)], None, id="no-time"),
        pytest.param([(UNIX_MS, 0)], 0, id="unix-epoch"),
        pytest.param([(UNIX_MS, 0), (UNIX_MS + 2_000, SECOND)], 2 * SECOND, id="unix-epoch-goes-on"),
        pytest.param([(0, 0), (60_000, 0)], JUMP, id="a-minute-is-silence"),
        pytest.param([(0, 0), (61_000, SECOND)], 61 * SECOND, id="a-minute-after-one-second"),
        pytest.param([(0, 0), (61_001, SECOND)], SECOND, id="more-is-a-jump"),
        pytest.param([(100_000, 100 * SECOND), (39_999, 100 * SECOND)], 100 * SECOND, id="jump-back"),
        pytest.param([(100_000, 100 * SECOND), (95_000, 100 * SECOND)], 95 * SECOND, id="behind"),
        pytest.param([(0, 0), (3_600_000, 0), (3_601_000, SECOND)], SECOND, id="goes-on-behind-a-jump"),
    ],
)
def test_positions(asked: list[tuple[float | None, int]], position: int | None) -> None:
    """The last of some (timestamp, position by count) has this position by the carrier's clock."""
    clock = StreamClock()
    assert [clock.position(timestamp, due) for timestamp, due in asked][-1] == position


def test_a_leg_is_late_by_the_other_ones_time() -> None:
    """Five minutes into the call a leg begins: it is placed there, and its clock has not jumped."""
    clock = StreamClock()
    for second in range(300):
        clock.position(second * 1_000, second * SECOND)
    assert clock.position(299_500, 0) == 299.5 * SECOND


def test_a_jump_moves_both_legs() -> None:
    """When the carrier's clock jumps, the legs stay together."""
    clock = StreamClock()
    clock.position(10_000, 10 * SECOND)
    assert clock.position(9_000_000, 10 * SECOND) == 10 * SECOND
    assert clock.position(9_000_020, 10 * SECOND) == 10 * SECOND + 320
