"""Recorded conversations (`fixtures/wire/README.md`), as tests read them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

WIRE = Path(__file__).parents[1] / "fixtures" / "wire"


def recordings(*, broken: bool, dialect: str = "*") -> list[Path]:
    """Every conversation of a dialect, or of all: the good ones, or those whose last message is a fault."""
    return sorted(file for file in WIRE.glob(f"{dialect}/*.jsonl") if file.stem.startswith("broken") == broken)


def name(file: Path) -> str:
    """A test id."""
    return f"{file.parent.name}-{file.stem}"


def read(file: Path) -> tuple[dict[str, Any], list[str | bytes]]:
    """A recording's heading, and its messages as they were on the wire."""
    heading, *lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    return heading, [_message(line) for line in lines]


def _message(line: dict[str, Any]) -> str | bytes:
    if "binary" in line:
        return base64.b64decode(line["binary"])
    return line["text"] if "text" in line else json.dumps(line["message"])
