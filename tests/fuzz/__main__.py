"""`python -m tests.fuzz`: disfigured inputs for every parser, and for each how many, how long, and what came out of it."""

from __future__ import annotations

import argparse
import faulthandler
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from functools import cache
from pathlib import Path
from typing import Final

from tests.fuzz.inputs import NAMES, Result, every, read
from tests.fuzz.parsers import Parser

AT_ONCE: Final = 2000
"""Inputs that a worker takes at a time."""
SAY_EVERY_S: Final = 10.0
FAULTS_SHOWN: Final = 3
"""Of each parser. The first is as good as the thousandth."""

MEMORY: Final = Path("/dev/shm")  # noqa: S108  # a folder of its own is made in it
"""Where files are written that are read once: a disk would take longer than their parsers."""


@cache
def parsers_of_this_process(folder: str) -> dict[str, Parser]:
    """What they read from files is nobody else's."""
    return every(Path(tempfile.mkdtemp(dir=folder)))


def share(name: str, numbers: range, seed: str, folder: str) -> Result:
    faulthandler.enable()  # what kills a process says where
    return read(name, parsers_of_this_process(folder)[name], numbers, seed)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000, help="how many for each parser")
    parser.add_argument("--first", type=int, default=0, help="the number of the first of them")
    parser.add_argument("--seed", default="1", help="draws others")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes side by side")
    parser.add_argument("parsers", nargs="*", metavar="PARSER", help="only these: " + ", ".join(NAMES))
    given = parser.parse_args()
    if unknown := set(given.parsers) - set(NAMES):
        parser.error(f"no such parser: {', '.join(sorted(unknown))}")
    numbers = range(given.first, given.first + given.inputs)
    with (
        tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder,
        ProcessPoolExecutor(given.workers, multiprocessing.get_context("fork")) as workers,
    ):
        shares = {
            workers.submit(share, name, numbers[at : at + AT_ONCE], given.seed, folder): name
            for name in given.parsers or NAMES
            for at in range(0, len(numbers), AT_ONCE)
        }
        return _told(shares, given.seed)


def _told(shares: dict[Future[Result], str], seed: str) -> int:
    """A line for each parser once all of its inputs are read; 1 if any had a fault."""
    began = said = time.monotonic()
    left = Counter(shares.values())
    found = {name: Result() for name in left}
    for done, future in enumerate(as_completed(shares), 1):
        name = shares[future]
        found[name].add(future.result())
        left[name] -= 1
        if not left[name]:
            _tell(name, found[name])
        if time.monotonic() - said > SAY_EVERY_S:
            said = time.monotonic()
            print(f"{done / len(shares):.0%} after {said - began:.0f} s", file=sys.stderr)
    faults = sum(len(result.faults) for result in found.values())
    inputs = sum(result.inputs for result in found.values())
    print(f"{len(found)} parsers, {inputs} inputs of seed {seed}, {faults} faults, {time.monotonic() - began:.0f} s")
    return 1 if faults else 0


def _tell(name: str, result: Result) -> None:
    print(
        f"{name:24}{result.inputs:10} inputs, {result.understood / result.inputs:4.0%} understood"
        f"{result.cpu_s:8.1f} s of a processor{len(result.faults):7} faults"
    )
    print("".join(f"  {fault}\n" for fault in result.faults[:FAULTS_SHOWN]), end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
