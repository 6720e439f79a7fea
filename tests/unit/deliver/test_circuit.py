"""Endpoints that fail are left in peace, and looked after."""

from __future__ import annotations

import pytest

from bridge.deliver.circuit import FIRST_REST_S, LONGEST_REST_S, TRIPS_AT, Circuits


def failing(times: int, endpoint_id: str = "we_1", now: float = 0.0) -> Circuits:
    circuits = Circuits()
    for _ in range(times):
        circuits.failed(endpoint_id, now)
    return circuits


@pytest.mark.parametrize(
    ("failures", "now", "room"),
    [
        pytest.param(0, 0.0, {}, id="nothing-known"),
        pytest.param(TRIPS_AT - 1, 0.0, {"we_1": 4}, id="not-yet"),
        pytest.param(TRIPS_AT, 0.0, {"we_1": 0}, id="resting"),
        pytest.param(TRIPS_AT, FIRST_REST_S - 1, {"we_1": 0}, id="resting-still"),
        pytest.param(TRIPS_AT, FIRST_REST_S, {"we_1": 1}, id="one-probe"),
        pytest.param(TRIPS_AT + 3, FIRST_REST_S, {"we_1": 1}, id="tries-under-way-do-not-lengthen-the-rest"),
    ],
)
def test_failures_in_a_row(failures: int, now: float, room: dict[str, int]) -> None:
    """Enough of them and the endpoint rests; after that one try at a time."""
    assert failing(failures).room({}, now, each=4, suspects=64) == room


def test_each_failed_probe_doubles_the_rest() -> None:
    """Up to the longest."""
    circuits, now, rests = failing(TRIPS_AT), 0.0, []
    while len(rests) < 6:
        until = circuits.next_probe(now)
        assert until is not None
        rests.append(until - now)
        now = until
        circuits.failed("we_1", now)
    assert rests == [30.0, 60.0, 120.0, 240.0, LONGEST_REST_S, LONGEST_REST_S]


def test_one_success_forgets_everything() -> None:
    """The endpoint is as good as new, and is not remembered."""
    circuits = failing(TRIPS_AT)
    circuits.forget("we_1")
    assert circuits.room({}, 0.0, each=4, suspects=64) == {}
    assert circuits.next_probe(0.0) is None


def test_tries_under_way_count() -> None:
    """An endpoint never has more than its share at a time; a probe under way is the only one."""
    circuits = failing(TRIPS_AT)
    room = circuits.room({"we_1": 1, "we_2": 3, "we_3": 4}, FIRST_REST_S, each=4, suspects=64)
    assert room == {"we_1": 0, "we_2": 1, "we_3": 0}


def test_those_that_fail_share_their_places() -> None:
    """However many have failed, places are left for others."""
    circuits = Circuits()
    for number in range(100):
        circuits.failed(f"we_{number}", 0.0)
    busy = {f"we_{number}": 1 for number in range(60)}
    room = circuits.room(busy, 0.0, each=4, suspects=62)
    assert max(room.values()) == 2
    full = circuits.room({f"we_{number}": 1 for number in range(62)}, 0.0, each=4, suspects=62)
    assert set(full.values()) == {0}
