"""Whatever is sent, every parser answers with a value or with a fault that it has named: a short form of `make fuzz`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.fuzz.inputs import NAMES, every, read

SHORT = 120
"""Inputs for each."""
SEED = os.environ.get("SEED", "1")


@pytest.mark.parametrize("name", NAMES)
def test_a_parser_names_its_faults(name: str, tmp_path: Path) -> None:
    """Good inputs, disfigured: nothing but what is documented comes out."""
    result = read(name, every(tmp_path)[name], range(SHORT), SEED)
    assert not result.faults
    assert result.understood
