"""Recordings of finished calls, and what damage set aside: where they are, whose they are, and how they go.

All of it is for threads. A file that is gone already is no fault: another server may share the folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import structlog

from bridge.errors import SpoolError
from bridge.model.call_key import CallKey
from bridge.spool.reading import read_header
from bridge.spool.record import Header

log = structlog.get_logger(__name__)

KEPT: Final = ".kept"
DAMAGED: Final = ".damaged"
UNFINISHED: Final = ".tape"
BEING_MADE: Final = ".new"


def kept_name(key: CallKey) -> str:
    """Found by whose call it is, and does not show it."""
    return hashlib.sha256("\n".join(key).encode()).hexdigest()[:32] + KEPT


def forget(folder: Path, key: CallKey) -> None:
    """Delete all audio of a call. Raises SpoolError when the disk refuses.

    A tape that its process has not put away yet goes first: put away meanwhile, it is found under its other name.
    """
    try:
        for suffix in (UNFINISHED, DAMAGED):
            for path in folder.glob(f"*{suffix}"):
                header = _header(path)
                if header is not None and header.key == key:
                    path.unlink(missing_ok=True)
        (folder / kept_name(key)).unlink(missing_ok=True)
    except OSError as error:
        raise SpoolError(f"the recording of a call could not be deleted: {error.strerror}") from error


def forget_older(folder: Path, before: float) -> int:
    """Delete recordings that were written to last before a Unix time, and what was set aside; how many."""
    count = 0
    for suffix in (KEPT, DAMAGED):
        for path in folder.glob(f"*{suffix}"):
            try:
                if path.stat().st_mtime < before:
                    path.unlink()
                    count += 1
            except FileNotFoundError:
                pass
            except OSError as error:
                log.warning("a recording could not be deleted", file=path.name, reason=error.strerror)
    return count


def owners(folder: Path, *, after: str, limit: int) -> Sequence[tuple[str, Header | None]]:
    """Names of up to `limit` recordings behind the name `after`, and whose they are; None for one that says nothing."""
    names = sorted(path.name for path in folder.glob(f"*{KEPT}") if path.name > after)
    return [(name, _header(folder / name)) for name in names[:limit]]


def _header(path: Path) -> Header | None:
    try:
        return read_header(path)
    except (SpoolError, FileNotFoundError):
        return None
