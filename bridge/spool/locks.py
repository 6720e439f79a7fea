"""A lock on a file says whether the process that it belongs to still lives."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

log = structlog.get_logger(__name__)


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


def synced(sync: Callable[[Any], None], what: Path | int) -> bool:
    """Whether `sync` did it. A disk that cannot be written may still be read."""
    try:
        sync(what)
    except OSError as error:
        log.warning("what was left behind could not be synced", reason=error.strerror)
        return False
    return True
