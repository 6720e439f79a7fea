"""`python -m tests.sim`: run seeds, say how many and how long, and how to run one that fails again."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from typing import Final

import structlog

from tests.sim.invariants import broken
from tests.sim.mutations import MUTATIONS
from tests.sim.stage import prepare, simulated
from tests.sim.world import World

AT_ONCE: Final = 8
"""Seeds that a worker takes at a time."""

SAY_EVERY_S: Final = 10.0


@dataclass
class Result:
    """What came of one seed."""

    seed: int
    broken: list[str]
    story: list[str]
    digest: str
    steps: int


def run(seed: int) -> Result:
    """One seed from nothing to rest, and what does not hold then."""
    world = World(seed)
    with simulated(world):
        prepare(world)
        try:
            world.run()
        except Exception as error:  # noqa: BLE001  # whatever it is, it is what the seed has found
            found = [f"{type(error).__name__}: {error}"]
        else:
            found = broken(world)
        return Result(seed, found, world.story, world.digest(), world.steps)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="only this one, with its story")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes side by side")
    parser.add_argument("--digests", action="store_true", help="say for each what was told, to compare replays")
    parser.add_argument("--mutations", action="store_true", help="break the product on purpose and see it noticed")
    given = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of sets of names belongs to the replay
        again = [sys.executable, "-m", "tests.sim", *sys.argv[1:]]
        os.execve(sys.executable, again, {**os.environ, "PYTHONHASHSEED": "0"})  # noqa: S606
    if given.seed is not None:
        return _replay(given.seed)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with ProcessPoolExecutor(given.workers, multiprocessing.get_context("fork")) as workers:
        if given.mutations:
            return _mutations(workers, given.seeds)
        return _seeds(workers, range(given.first, given.first + given.seeds), digests=given.digests)


def _seeds(workers: ProcessPoolExecutor, seeds: range, *, digests: bool) -> int:
    began = said = time.monotonic()
    failed = 0
    for done, result in enumerate(workers.map(run, seeds, chunksize=AT_ONCE), 1):
        if digests:
            print(f"seed {result.seed}: {result.digest}")
        if result.broken:
            failed += 1
            print(
                f"seed {result.seed}: {'; '.join(result.broken[:3])[:400]}\n  again: make sim SEED={result.seed}",
                flush=True,
            )
        if time.monotonic() - said > SAY_EVERY_S:
            said = time.monotonic()
            print(f"{done} of {len(seeds)}, {failed} broken, {done / (said - began):.0f} a second", file=sys.stderr)
    took_s = time.monotonic() - began
    print(f"{len(seeds)} seeds from {seeds.start}, {failed} broken, {took_s:.1f} s, {len(seeds) / took_s:.0f} a second")
    return 1 if failed else 0


def _mutations(workers: ProcessPoolExecutor, most: int) -> int:
    missed = 0
    for name, found in zip(MUTATIONS, workers.map(_notice, MUTATIONS, repeat(most)), strict=True):
        missed += found is None
        print(f"{name}: {'NOT NOTICED' if found is None else found[:160]}", flush=True)
    return 1 if missed else 0


def _notice(name: str, most: int) -> str | None:
    """The first of the seeds that sees what the mutation breaks, and what it says."""
    mutation = MUTATIONS[name]
    with mutation.break_it():
        for seed in range(most):
            for said in run(seed).broken:
                if any(part in said for part in mutation.seen):
                    return f"seed {seed}: {said}"
    return None


def _replay(seed: int) -> int:
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[plain])
    result = run(seed)
    print(*result.story, sep="\n")
    print(f"{result.steps} steps, digest {result.digest}")
    print(*(result.broken or ["nothing is broken"]), sep="\n")
    return 1 if result.broken else 0


if __name__ == "__main__":
    sys.exit(main())
