"""What one seed draws before anything begins: who calls, what they say, what goes wrong and when it stops."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import numpy as np

from bridge.model.frame import SAMPLE_RATE, Samples
from bridge.model.stream import Leg
from tests.engines import GAP, WORD

CALM_AFTER_S = 30.0
"""Nothing goes wrong any more; receivers come back a while later."""


@dataclass(frozen=True)
class Word:
    """One word of a leg, by samples."""

    number: int
    start: int
    end: int


@dataclass
class CallPlan:
    """A carrier's call as it will be, whatever becomes of it."""

    call_id: str
    at_s: float
    legs: tuple[Leg, ...]
    chunk_ms: int
    duration_ms: int
    words: dict[Leg, list[Word]]
    audio: dict[Leg, Samples]
    numbered: bool
    drops: float
    delays: float
    doubles: float
    cuts_s: list[float]
    """When its socket breaks off, since its start."""
    away_s: list[float]
    """And how long it then takes to come back; the last one may never."""
    hangs_up: bool
    """It says so; otherwise its socket just closes."""

    @property
    def chunk(self) -> int:
        return self.chunk_ms * SAMPLE_RATE // 1000


@dataclass
class Plan:
    """One seed's story. Lives: how each process ends, `None` for the last one."""

    seed: int
    calls: list[CallPlan]
    ends: list[tuple[str, float, float]]
    """Of each process: how (`step`, `time`, `write`, `power`, `drain`), when in its life, seconds until the next."""
    store_refuses: float = 0.0
    store_forgets: float = 0.0
    slow_threads: float = 0.0
    disk_refuses: list[tuple[float, float, int]] = field(default_factory=list)
    """From, until, errno."""
    decode_raises: float = 0.0
    decode_hangs: float = 0.0
    decode_slow: float = 0.0
    receivers: list[dict[str, float]] = field(default_factory=list)
    """For each endpoint, how likely each way of failing is."""
    events: list[tuple[str, ...]] = field(default_factory=list)
    well_again_s: float = CALM_AFTER_S
    jumps: list[tuple[float, float]] = field(default_factory=list)
    """When somebody sets the wall clock, and by how much."""
    slow_readers: float = 0.0


def plan(seed: int) -> Plan:
    """The same for the same seed, on every machine."""
    rng = Random(f"callbridge {seed}")

    def sometimes(chance: float, most: float) -> float:
        return rng.uniform(0, most) if rng.random() < chance else 0.0

    calls = [_call(rng, number) for number in range(rng.choice([1, 1, 2, 3]))]
    ends = [
        (
            rng.choice(["step", "step", "time", "write", "power", "drain"]),
            rng.uniform(0.2, 12.0),
            rng.uniform(0.1, 3.0),
        )
        for _ in range(rng.choice([0, 1, 1, 2, 3]))
    ]
    return Plan(
        seed=seed,
        calls=calls,
        ends=ends,
        store_refuses=sometimes(0.3, 0.3),
        store_forgets=sometimes(0.3, 0.2),
        slow_threads=sometimes(0.2, 0.05),
        disk_refuses=[
            (at, at + rng.uniform(0.3, 5), rng.choice([28, 5])) for at in [rng.uniform(0, 12)] if rng.random() < 0.25
        ],
        decode_raises=sometimes(0.4, 0.4),
        decode_hangs=sometimes(0.2, 0.15),
        decode_slow=sometimes(0.3, 0.5),
        receivers=[_receiver(rng) for _ in range(rng.choice([1, 1, 2]))],
        events=[rng.choice([*[("call.completed", "call.failed")] * 4, ("*",)]) for _ in range(2)],
        well_again_s=CALM_AFTER_S + rng.choice([0, 0, 30, 200]),
        jumps=[
            (rng.uniform(0, 15), rng.choice([-90, -30, -1, 1, 30, 3600, 86_400]))
            for _ in range(rng.choice([0, 0, 0, 1, 2]))
        ],
        slow_readers=sometimes(0.3, 1.0),
    )


def _call(rng: Random, number: int) -> CallPlan:
    chunk_ms = rng.choice([20, 40, 60, 100, 200])
    legs = rng.choice([(Leg.CALLER, Leg.AGENT), (Leg.CALLER, Leg.AGENT), (Leg.MIXED,)])
    duration_ms = round(rng.uniform(0.3, 6.0) * 1000 / chunk_ms) * chunk_ms or chunk_ms
    audio: dict[Leg, Samples] = {}
    words: dict[Leg, list[Word]] = {}
    numbers = rng.sample(range(10, 100), 90)
    for leg in legs:
        samples = np.zeros(duration_ms * SAMPLE_RATE // 1000, np.float32)
        words[leg] = []
        at = round(rng.uniform(0, 1.0) * SAMPLE_RATE)
        while at + WORD < len(samples) and numbers:
            for _ in range(rng.choice([1, 2, 3, 4])):
                if at + WORD >= len(samples) or not numbers:
                    break
                word = Word(numbers.pop(), at, at + WORD)
                samples[word.start : word.end] = word.number / 100
                words[leg].append(word)
                at += WORD + GAP
            at += round(rng.uniform(0.3, 1.5) * SAMPLE_RATE)
        audio[leg] = samples
    troubled = rng.random() < 0.5
    cuts = sorted(rng.uniform(0, duration_ms / 1000) for _ in range(rng.choice([0, 0, 0, 1, 2])))
    return CallPlan(
        call_id=f"call-{number}",
        at_s=rng.uniform(0, 8.0),
        legs=legs,
        chunk_ms=chunk_ms,
        duration_ms=duration_ms,
        words=words,
        audio=audio,
        numbered=rng.random() < 0.8,
        drops=rng.uniform(0, 0.1) if troubled else 0.0,
        delays=rng.uniform(0, 0.2) if troubled else 0.0,
        doubles=rng.uniform(0, 0.1) if troubled else 0.0,
        cuts_s=cuts,
        away_s=[rng.choice([0.05, 0.3, 0.9, 0.999, 1.001, 5.0]) for _ in cuts],
        hangs_up=rng.random() < 0.7,
    )


def _receiver(rng: Random) -> dict[str, float]:
    if rng.random() < 0.5:
        return {}
    ways = ["500", "429", "refused", "hangs", "lost", "slow"]
    return {way: rng.uniform(0, 0.5) for way in rng.sample(ways, rng.choice([1, 2, 3]))}
