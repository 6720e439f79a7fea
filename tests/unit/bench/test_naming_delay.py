"""How much later finals come, from two runs of the same calls."""

from __future__ import annotations

import math

import pytest

from bridge.bench.measure import Figures
from bridge.bench.naming_delay import NamingDelay, naming_of


def test_each_utterance_is_held_against_itself() -> None:
    delay = NamingDelay(
        plain=Figures(finals_s=[0.5, 3.0, 0.4]),
        named=Figures(finals_s=[0.6, 3.1, 0.5]),
        waited=((0.01, 2.0), (0.05, 2.0), (0.1, 3.0), (math.inf, 3.0)),
    )
    assert delay.later_s == pytest.approx([0.1, 0.1, 0.1])
    assert naming_of(delay)["later"]["p95"] == pytest.approx(0.1)
    assert naming_of(delay)["plain"]["p50"] == 0.5
    assert naming_of(delay)["waited"] == {"p50": 0.01, "p95": 0.1}


def test_where_a_final_is_missing_nothing_is_compared_with_another() -> None:
    delay = NamingDelay(plain=Figures(finals_s=[0.5], missing=1), named=Figures(finals_s=[0.6, 0.5]), waited=())
    assert delay.later_s == []
    assert math.isnan(delay.waited_s(0.5))
