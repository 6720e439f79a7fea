"""The recogniser of a cluster at any number of calls: `python -m scripts.simulate_scale --calls 1000`.

What runs is real: the scheduler of each replica, how often a call asks for partials, and the rule by which replicas
grow. What is made up: people who talk (`Talk`), how long a decode takes (the proportions of `bridge.recognise.cost`,
measured on one core), Ray Serve's choice of a replica (the less busy of two drawn at random), and time, which leaps
from one event to the next. Halfway twice as many calls come, as at noon; later a tenth of the replicas dies at once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import selectors
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from bridge.model.frame import SAMPLE_RATE
from bridge.ports import Decoded, DecodeJob, Urgency
from bridge.recognise.cost import Cost, decoding, encoding
from bridge.recognise.growth import lateness, replicas_wanted
from bridge.recognise.pace import is_busy, partial_interval_s
from bridge.recognise.scheduler import Scheduler
from bridge.recognise.window import BRISK_BUCKETS_S, BUCKETS_S, PARTIAL_BUCKETS_S, window_s
from bridge.recognise.workers import Encoded, Joining, Tell

WORKERS: Final = 2
"""Cores of a replica."""
CALLS_A_REPLICA: Final = 12
"""Half of what two cores hold with p95 of finals within a second (docs/recognition.md): with what follows, a replica
that starts with so many is two thirds full.
"""
START_S: Final = 10.0
"""From wanting a replica to its first decode: measured with the weights on the machine's disk."""
LOOK_S: Final = 2.0
TRIP_S: Final = 0.005
"""Half of the measured way there and back."""
HANGOVER_S: Final = 0.5
SPECULATE_S: Final = 0.2

SPEECH_S: Final = 3.5
PAUSE_S: Final = 1.7
"""Means; together with the hang-over a call has 0.19 finals a second, as in the measured calls."""
INNER_PAUSE: Final = 0.3
"""The chance that somebody pauses and goes on: a decode for nothing."""
SETTLED_EVERY: Final = 5

NOTHING: Final = Decoded.nothing("en")
SILENCE: Final = np.zeros(1, np.float32)


class _Leaping(selectors.SelectSelector):
    """Waits by moving the loop's clock."""

    loop: LeapingLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.loop.now += timeout or 0.0
        return []


class LeapingLoop(asyncio.SelectorEventLoop):
    """Time goes on when nobody can."""

    def __init__(self) -> None:
        self.now = 0.0
        selector = _Leaping()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now


class LoopClock:
    """The `Clock` port, by the running loop."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    monotonic = now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


CLOCK: Final = LoopClock()


@dataclass(frozen=True, slots=True)
class Plan:
    """A job as a replica runs it."""

    job: DecodeJob
    window_s: int
    previous_tokens: int = 0


class Cores:
    """Fills `Workers`: a step takes what it was measured to take."""

    def __init__(self) -> None:
        self.count = WORKERS
        self._encoding = Cost(encoding)
        self._decoding = Cost(decoding)

    joins = False

    def plan(self, job: DecodeJob) -> Plan:
        buckets = BRISK_BUCKETS_S if job.brisk else BUCKETS_S
        return Plan(job, window_s(len(job.samples), PARTIAL_BUCKETS_S if job.urgency is Urgency.PARTIAL else buckets))

    async def encode(self, plan: Plan) -> Encoded[Plan]:
        await asyncio.sleep(self._encoding.predict([plan]))
        return Encoded(plan, None)

    async def decode(self, batch: Sequence[Encoded[Plan]], tell: Tell, _joining: Joining[Plan]) -> None:
        await asyncio.sleep(self._decoding.predict([encoded.plan for encoded in batch]))
        for place in range(len(batch)):
            tell(place, NOTHING)

    async def close(self) -> None: ...


class DeadError(Exception):
    """The replica has gone."""


class Replica:
    """One scheduler, and who waits for it."""

    def __init__(self) -> None:
        self.scheduler = Scheduler(Cores(), CLOCK)
        self.asking: set[asyncio.Task[Any]] = set()
        self.dead = False

    async def decode(self, job: DecodeJob) -> Decoded | None:
        if (task := asyncio.current_task()) is None:
            raise RuntimeError("decode outside of a task")
        self.asking.add(task)
        try:
            return await self.scheduler.decode(job)
        except asyncio.CancelledError:
            if not self.dead:
                raise
            task.uncancel()
            raise DeadError from None
        finally:
            self.asking.discard(task)

    def die(self) -> None:
        self.dead = True
        for task in list(self.asking):
            task.cancel()


@dataclass(slots=True)
class Cluster:
    """Replicas that come and go, and a proxy in front of them."""

    replicas: list[Replica]
    chance: random.Random
    coming: int = 0
    most: int = 0
    asked_again: int = 0
    shed: int = 0
    pressure: float = 0.0
    """As bridges last heard it."""
    history: list[tuple[float, int]] = field(default_factory=list)

    async def decode(self, job: DecodeJob) -> Decoded | None:
        while True:
            await asyncio.sleep(TRIP_S)
            one, other = self.chance.choice(self.replicas), self.chance.choice(self.replicas)
            try:
                found = await (one if len(one.asking) <= len(other.asking) else other).decode(job)
            except DeadError:
                self.asked_again += 1
                if job.urgency in {Urgency.PARTIAL, Urgency.SETTLE}:
                    return None
                continue
            await asyncio.sleep(TRIP_S)
            self.shed += found is None
            return found

    async def grow(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            there = self.replicas
            self.pressure = sum(replica.scheduler.pressure() for replica in there) / len(there)
            late_s = max(0.0, lateness([replica.scheduler.oldest_wait() for replica in there]))
            self.history.append((CLOCK.now(), len(there)))
            wanted = replicas_wanted(len(there), late_s, self.pressure, least=1, most=self.most, coming=self.coming)
            for _ in range(wanted - len(there) - self.coming):
                self.coming += 1
                asyncio.get_running_loop().call_later(START_S, self._come)

    def _come(self) -> None:
        self.coming -= 1
        self.replicas.append(Replica())

    def lose(self, share: float) -> int:
        lost = self.replicas[: max(1, math.ceil(len(self.replicas) * share))]
        self.replicas = self.replicas[len(lost) :]
        for replica in lost:
            replica.die()
        return len(lost)


@dataclass(slots=True)
class Figures:
    """What came of it: when each final was due, and how late it was."""

    due: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    partials: int = 0
    speech_s: float = 0.0

    def of(self, begin: float, end: float) -> str:
        late = [late for due, late in zip(self.due, self.late, strict=True) if begin <= due < end]
        if not late:
            return "–"
        p50, p95, p99 = np.percentile(late, [50, 95, 99])
        return f"{p50:.2f} / {p95:.2f} / {p99:.2f}"


class Talk:
    """One call: somebody speaks, pauses, and so on."""

    def __init__(self, cluster: Cluster, figures: Figures, chance: random.Random) -> None:
        self.cluster = cluster
        self.figures = figures
        self.chance = chance
        self.tasks: set[asyncio.Task[Any]] = set()

    async def run(self) -> None:
        await asyncio.sleep(self.chance.uniform(0, SPEECH_S + PAUSE_S))
        said = 0
        while True:
            length_s = min(max(self.chance.lognormvariate(math.log(SPEECH_S) - 0.18, 0.6), 0.6), 18.0)
            await self._speak(length_s)
            said += 1
            self._in_background(self._final(length_s))
            if said % SETTLED_EVERY == 0:
                self._in_background(self._decode(Urgency.SETTLE, 23.0, 30.0))
            await asyncio.sleep(SPECULATE_S + self.chance.expovariate(1 / PAUSE_S))

    async def _speak(self, length_s: float) -> None:
        began = CLOCK.now()
        pauses_at = self.chance.uniform(0, length_s) if self.chance.random() < INNER_PAUSE else math.inf
        while (left := began + length_s - CLOCK.now()) > 1e-6:
            interval = partial_interval_s(self.cluster.pressure)
            await asyncio.sleep(min(left, interval or 1.0))
            so_far = CLOCK.now() - began
            if so_far >= pauses_at:
                pauses_at = math.inf
                self._in_background(self._decode(Urgency.SPECULATIVE, so_far, HANGOVER_S - SPECULATE_S))
            elif interval is not None and so_far < length_s:
                self.figures.partials += 1
                self._in_background(self._decode(Urgency.PARTIAL, min(so_far, 6.0), 0.5))
        self.figures.speech_s += length_s

    async def _final(self, length_s: float) -> None:
        """Asked 200 ms into the pause, due when the hang-over ends."""
        await asyncio.sleep(SPECULATE_S)
        due = CLOCK.now() + HANGOVER_S - SPECULATE_S
        await self._decode(Urgency.SPECULATIVE, length_s, HANGOVER_S - SPECULATE_S)
        self.figures.due.append(due)
        self.figures.late.append(max(0.0, CLOCK.now() - due))

    async def _decode(self, urgency: Urgency, speech_s: float, due_s: float) -> None:
        samples = np.broadcast_to(SILENCE, (round(speech_s * SAMPLE_RATE),))
        brisk = is_busy(self.cluster.pressure)
        await self.cluster.decode(
            DecodeJob(samples=samples, urgency=urgency, deadline=CLOCK.now() + due_s, brisk=brisk)
        )

    def _in_background(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


async def simulate(calls: int, *, noon_s: float, loss_s: float, end_s: float, seed: int) -> dict[str, Any]:
    """`calls` from the beginning; as many again from `noon_s` on, within ten seconds; a tenth dies at `loss_s`."""
    chance, figures = random.Random(seed), Figures()  # noqa: S311  # to be drawn again
    first = math.ceil(calls / CALLS_A_REPLICA)
    cluster = Cluster([Replica() for _ in range(first)], chance, most=10 * first)
    background = [asyncio.create_task(cluster.grow())]
    talks = [Talk(cluster, figures, chance) for _ in range(2 * calls)]
    background += [asyncio.create_task(talk.run()) for talk in talks[:calls]]
    await asyncio.sleep(noon_s)
    for _ in range(20):
        background += [asyncio.create_task(talk.run()) for talk in talks[len(background) - 1 :][: max(1, calls // 20)]]
        await asyncio.sleep(0.5)
    await asyncio.sleep(loss_s - CLOCK.now())
    lost = cluster.lose(0.1)
    await asyncio.sleep(end_s - CLOCK.now())
    open_finals = sum(len(talk.tasks) for talk in talks)
    answer = {
        "calls": f"{calls} → {2 * calls}",
        "finals": len(figures.late),
        "partials_a_speech_second": round(figures.partials / max(figures.speech_s, 1), 2),
        "late_before_noon": figures.of(5, noon_s),
        "late_at_noon": figures.of(noon_s, loss_s - (loss_s - noon_s) / 2),
        "late_after": figures.of(loss_s - (loss_s - noon_s) / 2, loss_s),
        "late_when_replicas_die": figures.of(loss_s, end_s),
        "replicas": f"{first} → {max(count for _, count in cluster.history)}",
        "replicas_lost": lost,
        "asked_again": cluster.asked_again,
        "under_way_at_the_end": open_finals,
    }
    for task in background:
        task.cancel()
    return answer


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--calls", type=int, default=1000)
    arguments.add_argument("--noon", type=float, default=30.0, help="when as many calls come again, s")
    arguments.add_argument("--loss", type=float, default=90.0, help="when a tenth of the replicas dies, s")
    arguments.add_argument("--end", type=float, default=120.0, help="s")
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    began = time.perf_counter()
    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        found = runner.run(
            simulate(given.calls, noon_s=given.noon, loss_s=given.loss, end_s=given.end, seed=given.seed)
        )
    print(json.dumps({**found, "took_s": round(time.perf_counter() - began, 1)}, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
