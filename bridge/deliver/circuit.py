"""Endpoints that fail are left in peace for a while, so that they cost nothing and spend no tries in vain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

TRIPS_AT: Final = 5
"""Failures in a row."""
FIRST_REST_S: Final = 30.0
LONGEST_REST_S: Final = 300.0


@dataclass(slots=True)
class _Circuit:
    failures: int = 0
    rest_s: float = 0.0
    rests_until: float = 0.0

    @property
    def tripped(self) -> bool:
        return self.failures >= TRIPS_AT


class Circuits:
    """One circuit an endpoint: after `TRIPS_AT` failures in a row it rests, then a single try is let through; each
    time that fails the rest doubles. A success forgets everything. Only failing endpoints are remembered.
    """

    def __init__(self) -> None:
        self._failing: dict[str, _Circuit] = {}

    def forget(self, endpoint_id: str) -> None:
        """It has answered; or somebody says that it will."""
        self._failing.pop(endpoint_id, None)

    def failed(self, endpoint_id: str, now: float) -> None:
        circuit = self._failing.setdefault(endpoint_id, _Circuit())
        circuit.failures += 1
        if circuit.tripped and now >= circuit.rests_until:  # others that were under way count once
            circuit.rest_s = min(max(circuit.rest_s * 2, FIRST_REST_S), LONGEST_REST_S)
            circuit.rests_until = now + circuit.rest_s

    def room(self, busy: Mapping[str, int], now: float, *, each: int, suspects: int) -> dict[str, int]:
        """How many more tries may go to the endpoints that failed last time or are `busy` (tries under way, by id).

        All that failed last time share `suspects`, however many they are: those of whom nothing bad is known
        always find a place.
        """
        left = suspects - sum(count for endpoint_id, count in busy.items() if endpoint_id in self._failing)
        room = {endpoint_id: max(0, each - count) for endpoint_id, count in busy.items()}
        for endpoint_id, circuit in self._failing.items():
            allowed = each
            if circuit.tripped:
                allowed = 1 if now >= circuit.rests_until else 0
            room[endpoint_id] = max(0, min(allowed - busy.get(endpoint_id, 0), left))
        return room

    def next_probe(self, now: float) -> float | None:
        """When the first resting endpoint may be tried again."""
        return min((c.rests_until for c in self._failing.values() if c.rests_until > now), default=None)
