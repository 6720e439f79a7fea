"""Signatures that have let somebody in: for how long, and how many of them, are known again."""

from __future__ import annotations

import pytest

from bridge.errors import CarrierAuthError
from bridge.ingest.signatures import OneUse
from bridge.web import replays
from bridge.web.replays import Replays


def test_until_it_is_too_old_anyway() -> None:
    """Whatever other dialects' are called, and whatever came before it."""
    used = Replays()
    used.use("vonage", OneUse("1", until=500.0), now=0.0)
    used.use("genesys", OneUse("1", until=40.0), now=0.0)
    for now in (0.0, 40.0):
        with pytest.raises(CarrierAuthError):
            used.use("genesys", OneUse("1", until=40.0), now=now)
    used.use("genesys", OneUse("2", until=600.0), now=501.0)
    assert len(used) == 1


def test_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bounded number: the oldest is forgotten first."""
    monkeypatch.setattr(replays, "MOST", 2)
    used = Replays()
    for name in ("1", "2", "3"):
        used.use("vonage", OneUse(name, until=9.0), now=0.0)
    assert len(used) == 2
    for name in ("2", "3"):
        with pytest.raises(CarrierAuthError):
            used.use("vonage", OneUse(name, until=9.0), now=0.0)
