"""SQLite files as the migrations leave them, for tests that ask for tables and not for how those come to be."""

from __future__ import annotations

import asyncio
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from bridge.store.migrate import migrate


def lay_tables(file: Path) -> None:
    """Make `file` a database with nothing in it, unless there is one."""
    if not file.exists():
        file.write_bytes(_migrated())


@cache
def _migrated() -> bytes:
    """Made once; in a thread, because the caller's event loop may run."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as thread:
        file = Path(folder) / "callbridge.db"
        thread.submit(lambda: asyncio.run(migrate(f"sqlite:///{file}"))).result()
        return file.read_bytes()
