"""Work dealt out in turn."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.store.shares import shares


@pytest.mark.parametrize(
    ("waiting", "behind", "limit", "room", "dealt"),
    [
        pytest.param("abc", "", 3, 9, {"a": 1, "b": 1, "c": 1}, id="one-each"),
        pytest.param("abc", "a", 2, 9, {"b": 1, "c": 1}, id="behind-the-last-one"),
        pytest.param("abc", "b", 2, 9, {"c": 1, "a": 1}, id="and-round-again"),
        pytest.param("ab", "zz", 5, 2, {"a": 2, "b": 2}, id="nobody-over-their-room"),
        pytest.param("ab", "", 3, 9, {"a": 2, "b": 1}, id="the-rest-to-the-first"),
        pytest.param("", "a", 3, 9, {}, id="nobody-waits"),
        pytest.param("ab", "", 0, 9, {}, id="no-hands"),
        pytest.param("ab", "", 3, 0, {}, id="no-room"),
    ],
)
def test_who_gets_how_much(waiting: str, behind: str, limit: int, room: int, dealt: dict[str, int]) -> None:
    """In turn, from behind who was last."""
    assert shares(list(waiting), behind=behind, limit=limit, room=dict.fromkeys(waiting, room)) == dealt


@given(
    st.dictionaries(st.text("abcdef", min_size=1, max_size=2), st.integers(0, 5)), st.text("abcdef"), st.integers(0, 20)
)
def test_fair_and_full(room: dict[str, int], behind: str, limit: int) -> None:
    """All that can be dealt is dealt, and nobody has two more than another who had room."""
    dealt = shares(sorted(room), behind=behind, limit=limit, room=room)
    assert sum(dealt.values()) == min(limit, sum(room.values()))
    for name, most in room.items():
        mine = dealt.get(name, 0)
        assert mine <= most
        assert mine == most or all(theirs <= mine + 1 for theirs in dealt.values())
