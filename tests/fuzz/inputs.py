"""All parsers, and what comes of a run of inputs for one of them. The same seed, name and number are the same input."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.fuzz.described import described
from tests.fuzz.mutation import Mutation
from tests.fuzz.parsers import Parser, parsers
from tests.fuzz.sessions import sessions


def every(folder: Path) -> dict[str, Parser]:
    """By name. `folder` is for files that are read."""
    return {**parsers(folder), **described(), **sessions()}


NAMES: Final = sorted(every(Path()))

SHOWN: Final = 2000
"""Characters of an input that had a fault."""


@dataclass
class Result:
    """What came of some inputs."""

    inputs: int = 0
    understood: int = 0
    """Those that brought a value. Where none does, the good inputs are none, and nothing is tried."""
    cpu_s: float = 0.0
    faults: list[str] = field(default_factory=list)

    def add(self, other: Result) -> None:
        self.inputs += other.inputs
        self.understood += other.understood
        self.cpu_s += other.cpu_s
        self.faults += other.faults


def read(name: str, parser: Parser, numbers: Iterable[int], seed: str) -> Result:
    """Whatever comes out beside values and documented faults is a fault of ours."""
    result = Result()
    began = time.process_time()
    for result.inputs, number in enumerate(numbers, 1):
        drawn = parser.draw(Mutation(f"{seed} {name} {number}"))
        try:
            parser.read(drawn)
            result.understood += 1
        except parser.documented:
            pass
        except Exception as error:  # noqa: BLE001  # whatever it is, it was not to come out
            result.faults.append(
                f"{name}: {type(error).__name__}: {error}\n  of {repr(drawn)[:SHOWN]}\n"
                f"  again: python -m tests.fuzz --seed {seed} --first {number} --inputs 1 {name}"
            )
    result.cpu_s = time.process_time() - began
    return result
