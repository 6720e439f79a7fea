"""How many publishers may be about to begin."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from bridge.errors import CapacityError
from bridge.web.whip import MOST_OPENING, Sessions


def test_only_so_many_open_their_ports_at_once() -> None:
    """One more is told to come again; whoever is done, or has failed, makes room."""
    sessions = Sessions()
    with ExitStack() as held:
        for _ in range(MOST_OPENING):
            held.enter_context(sessions.opening())
        with pytest.raises(CapacityError), sessions.opening():
            pass
    with pytest.raises(ValueError, match="no ports"), sessions.opening():
        raise ValueError("no ports")
    with sessions.opening():
        pass
