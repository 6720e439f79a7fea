"""Whatever is sent, every parser answers with a value or with a fault that it has named.

`make fuzz N=100000` gives each of them so many inputs; `SEED=` draws others.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.fuzz.described import described
from tests.fuzz.mutation import Mutation
from tests.fuzz.parsers import Parser, parsers
from tests.fuzz.sessions import sessions

N = int(os.environ.get("FUZZ_N", "0"))
SHORT = 120
"""Inputs for each, without being asked for more."""
SEED = os.environ.get("SEED", "1")


def every(folder: Path) -> dict[str, Parser]:
    """All parsers, by name. `folder` is for files that are read."""
    return {**parsers(folder), **described(), **sessions()}


NAMES = sorted(every(Path()))


def read(name: str, parser: Parser, number: int) -> None:
    """One input, and whatever must not come of it."""
    drawn = parser.draw(Mutation(f"{SEED} {name} {number}"))
    try:
        parser.read(drawn)
    except parser.documented:
        pass
    except Exception as error:  # noqa: BLE001  # whatever it is, it was not to come out
        pytest.fail(f"{name}, input {number} of seed {SEED}: {drawn!r}\n{type(error).__name__}: {error}")


@pytest.mark.parametrize("name", NAMES)
def test_a_parser_names_its_faults(name: str, tmp_path: Path) -> None:
    """Good inputs, disfigured: nothing but what is documented comes out."""
    parser = every(tmp_path)[name]
    for number in range(max(10, (N or SHORT) // parser.dear)):
        read(name, parser, number)
