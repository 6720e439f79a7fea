"""The redo log: what was last written to all tapes, once more in one file, so that one sync brings it to the disk.

    file    = block…                                (`bridge.spool.record`), one for each round of the syncer
    payload = entry…
    entry   = name of the tape's file 48s, offset u64, size u32, the bytes that were written there

NAME.redo is locked while its process lives, and NAME is part of the names of its tapes. Tapes only grow: an entry that
is applied twice, or late, writes what stands there already.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from bridge.spool.kept import BEING_MADE, DAMAGED, UNFINISHED
from bridge.spool.locks import lock, sync_folder, synced
from bridge.spool.reading import NOT_OURS, next_payload
from bridge.spool.record import block

log = structlog.get_logger(__name__)

REDO: Final = ".redo"

_ENTRY: Final = struct.Struct("<48sQI")


class Entry(NamedTuple):
    """One write to one tape."""

    name: str
    """Of its file, at most 48 bytes."""

    offset: int
    data: bytes


class RedoLog:
    """The log of one process. Its file is made by the first `append`. Methods raise OSError when the disk refuses."""

    def __init__(self, folder: Path) -> None:
        self.name = secrets.token_hex(4)
        self._path = folder / f"{self.name}{REDO}"
        self._handle: int | None = None
        self.size = 0
        """Bytes."""

    def append(self, entries: Iterable[Entry]) -> None:
        """Returns once they are on the disk. What a failed one has left in the file, the next one writes over."""
        data = block(entries_to_bytes(entries))
        handle = self._handle if self._handle is not None else self._make()
        if os.pwrite(handle, data, self.size) < len(data):
            raise OSError("no space left for all of a write")
        os.fdatasync(handle)
        self.size += len(data)

    def clear(self) -> None:
        """The tapes themselves are on the disk."""
        self.size = 0
        if self._handle is not None:
            os.ftruncate(self._handle, 0)

    def close(self) -> None:
        """No process needs it any more. The next `append` makes a new one."""
        if self._handle is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._handle)
            self._handle, self.size = None, 0

    def _make(self) -> int:
        being_made = self._path.with_suffix(BEING_MADE)
        handle = os.open(being_made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            being_made.rename(self._path)  # under its real name it is locked
            sync_folder(self._path.parent)
        except OSError:
            os.close(handle)
            being_made.unlink(missing_ok=True)
            raise
        self._handle = handle
        return handle


def log_of(tape: Path) -> str:
    """The name of a tape's redo log, by its own."""
    _, _, behind_start = tape.stem.partition("-")
    return behind_start.partition("-")[0]


def redo(folder: Path) -> tuple[set[str], set[str]]:
    """Give the tapes of processes that have gone what a power failure took from them.

    Returns the names of logs that other processes have, which live, or do the same just now; and of those that could
    not be followed, since the disk takes no writing.
    """
    others, refused = set(), set()
    for path in folder.glob(f"*{REDO}"):
        handle = lock(path)
        if handle is None:
            others.add(path.stem)
            continue
        try:
            if _apply(path):
                path.unlink()
        except OSError as error:
            log.warning("tapes could not be given all that their redo log holds", reason=error.strerror or str(error))
            refused.add(path.stem)
        except NOT_OURS as error:
            log.warning("a redo log cannot be read and is set aside", file=path.name, reason=str(error))
            path.rename(path.with_suffix(DAMAGED))
        finally:
            os.close(handle)
    return others, refused


def forget_log(folder: Path, name: str) -> None:
    """A disk may have refused to sync what was whole. The log goes with the last of its tapes."""
    if name and not any(folder.glob(f"*-{name}-*{UNFINISHED}")):
        (folder / f"{name}{REDO}").unlink(missing_ok=True)


def _apply(path: Path) -> bool:
    """Whether the tapes are on the disk now, and not only whole. Raises OSError for one that is not."""
    tapes: dict[str, int | None] = {}
    try:
        for name, offset, data in _entries(path):
            if name not in tapes:
                tapes[name] = _opened(path.with_name(name))
            tape = tapes[name]
            if tape is None or offset > os.fstat(tape).st_size or os.pread(tape, len(data), offset) == data:
                continue  # gone, damaged before it, or there
            if os.pwrite(tape, data, offset) < len(data):
                raise OSError("no space left for all of a write")
        done = [synced(os.fdatasync, tape) for tape in tapes.values() if tape is not None]
        return all(done)
    finally:
        for tape in tapes.values():
            if tape is not None:
                os.close(tape)


def _opened(tape: Path) -> int | None:
    """None for one that was finished and is gone."""
    if tape.suffix != UNFINISHED:
        raise ValueError(f"{tape.name} is no tape")
    try:
        return os.open(tape, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None


def entries_to_bytes(entries: Iterable[Entry]) -> bytes:
    """A block's payload."""
    parts: list[bytes] = []
    for name, offset, data in entries:
        parts += (_ENTRY.pack(name.encode(), offset, len(data)), data)
    return b"".join(parts)


def _entries(path: Path) -> Iterator[Entry]:
    """Up to the first block that is not whole."""
    with path.open("rb") as file:
        while (payload := next_payload(file)) is not None:
            at = 0
            while at < len(payload):
                name, offset, size = _ENTRY.unpack_from(payload, at)
                at += _ENTRY.size + size
                yield Entry(name.rstrip(b"\0").decode(), offset, payload[at - size : at])
