"""Allowances: a minute's worth at once, then evenly; each spender's own."""

from __future__ import annotations

import pytest

from bridge.errors import TooManyRequestsError
from bridge.settings import Settings
from bridge.web import limits
from bridge.web.limits import Limits, Rate
from tests.clock import VirtualClock


async def test_a_minutes_allowance(clock: VirtualClock) -> None:
    """All of it may be spent at once; what is gone comes back evenly, and never grows beyond the limit."""
    rate = Rate(clock, 60)
    left = [rate.spend("me") for _ in range(60)]
    assert [spent.remaining for spent in left if spent] == list(range(59, -1, -1))
    assert not any(spent.wait_s for spent in left if spent)
    over = rate.spend("me")
    assert over is not None
    assert (over.limit, over.remaining, over.whole_again_s, over.wait_s) == (60, 0, 60, 1)
    await clock.advance(0.9)
    assert rate.spend("me").wait_s == 1  # type: ignore[union-attr]
    await clock.advance(0.1)
    assert rate.spend("me").wait_s == 0  # type: ignore[union-attr]
    await clock.advance(3600)
    assert rate.spend("me").remaining == 59  # type: ignore[union-attr]


def test_each_spends_its_own(clock: VirtualClock) -> None:
    """One that has nothing left takes nothing from another."""
    rate = Rate(clock, 1)
    assert [rate.spend(who).wait_s for who in ("a", "a", "b")] == [0, 60, 0]  # type: ignore[union-attr]


def test_no_limit(clock: VirtualClock) -> None:
    """0 is none."""
    assert Rate(clock, 0).spend("me") is None


def test_spenders_are_not_remembered_without_end(clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever was heard of longest ago is forgotten."""
    monkeypatch.setattr(limits, "MOST_REMEMBERED", 3)
    rate = Rate(clock, 1)
    for who in ("a", "b", "c", "a", "d"):
        rate.spend(who)
    assert [rate.spend(who).wait_s for who in ("a", "c", "d")] == [60, 60, 60]  # type: ignore[union-attr]
    assert len(rate._left) == 3


def test_live_readers_are_counted_while_they_read(clock: VirtualClock) -> None:
    """One too many is refused, until one of the tenant's leaves; another tenant's are not counted."""
    counted = Limits(Settings(tenant_max_readers=1), clock)
    with counted.reader("acme"), counted.reader("rival"):
        with pytest.raises(TooManyRequestsError) as caught, counted.reader("acme"):
            pass
        assert caught.value.details["retry_after"] > 0
    with counted.reader("acme"):
        pass
    assert not counted._readers
