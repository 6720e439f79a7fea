"""A lock on a file says whether the process that it belongs to still lives."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def lock(path: Path) -> int | None:
    """An open, locked file; None when a process has it, or has just taken it away."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def in_use(path: Path) -> bool:
    """Whether a process has the file."""
    handle = lock(path)
    if handle is not None:
        os.close(handle)
    return handle is None


def sync_folder(folder: Path) -> None:
    """Or a power failure forgets the names of new files."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
