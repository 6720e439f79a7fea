"""A bad line, on purpose: loss, duplication, disorder, a stall with its burst, a hang-up without a word."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from bridge.carrier.side import Timed


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What goes wrong with a call's media. The same `seed` goes wrong the same way."""

    loss: float = 0.0
    """Share of media messages that never arrive, 0–1."""
    duplication: float = 0.0
    """Share that arrive twice, 0–1."""
    reorder_ms: float = 0.0
    """Each is late by anything up to this, so that they overtake each other."""
    stall_at_ms: float = math.inf
    stall_ms: float = 0.0
    """From `stall_at_ms` on nothing comes for so long; then all of it at once."""
    hang_up_at_ms: float = math.inf
    """The connection is cut here, with neither `stop` nor a closing frame."""
    seed: int = 0


NO_FAULTS = Faults()


def disturb(line: Iterable[Timed], faults: Faults) -> Iterator[Timed]:
    """`line` as it arrives, again in order of `due_ms`. What is no media is neither lost nor doubled nor overtaken."""
    return _cut(_stalled(_mixed_up(_lossy(line, faults), faults), faults), faults)


def _lossy(line: Iterable[Timed], faults: Faults) -> Iterator[Timed]:
    chance = random.Random(faults.seed)  # noqa: S311 - a bad line, not a secret
    for timed in line:
        if timed.frame is None:
            yield timed
        elif chance.random() >= faults.loss:
            yield timed
            if chance.random() < faults.duplication:
                yield timed


def _mixed_up(line: Iterable[Timed], faults: Faults) -> Iterator[Timed]:
    if not faults.reorder_ms:
        yield from line
        return
    chance = random.Random(faults.seed)  # noqa: S311
    held: list[tuple[float, int, Timed]] = []
    for number, timed in enumerate(line):
        late = replace(timed, due_ms=timed.due_ms + _lateness(timed, faults, chance))
        heapq.heappush(held, (late.due_ms, number, late))
        while held and held[0][0] <= timed.due_ms:
            yield heapq.heappop(held)[2]
    while held:
        yield heapq.heappop(held)[2]


def _lateness(timed: Timed, faults: Faults, chance: random.Random) -> float:
    if timed.frame is not None:
        return chance.uniform(0, faults.reorder_ms)
    return faults.reorder_ms if timed.due_ms else 0  # the end behind the latest frame; the opening before any


def _stalled(line: Iterable[Timed], faults: Faults) -> Iterator[Timed]:
    until = faults.stall_at_ms + faults.stall_ms
    for timed in line:
        stuck = faults.stall_at_ms <= timed.due_ms < until
        yield replace(timed, due_ms=until) if stuck else timed


def _cut(line: Iterable[Timed], faults: Faults) -> Iterator[Timed]:
    return itertools.takewhile(lambda timed: timed.due_ms < faults.hang_up_at_ms, line)
