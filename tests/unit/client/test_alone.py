"""Our SDK by itself: made once, blocking from waiting, and free of the server."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.make_sync_client import CLIENT, MADE, twins


def test_the_blocking_client_is_made_from_the_other() -> None:
    """`python -m scripts.make_sync_client` has been run: the two cannot differ."""
    assert {path: path.read_text("utf-8") for path in MADE.glob("*.py")} == twins()


@pytest.mark.parametrize("path", sorted(CLIENT.rglob("*.py")), ids=lambda path: str(path.relative_to(CLIENT)))
def test_it_needs_httpx_alone(path: Path) -> None:
    """Nothing of the server, and one package: the folder works wherever it is put."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    ours = {name for name in found if name.startswith("bridge")}
    assert all(name.startswith("bridge.client") for name in ours)
    others = {name.partition(".")[0] for name in found - ours} - set(sys.stdlib_module_names)
    assert others <= {"httpx"}


def test_importing_it_loads_nothing_of_the_server() -> None:
    """Not even by way of the package that it lies in."""
    told = "import sys, bridge.client; print([m for m in sys.modules if m.startswith('bridge.') and 'client' not in m])"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.strip() == "[]"
