"""A tape's file: made, written, locked while its process lives, and found again when that has gone.

NAME.new      being made, not yet locked or without its header
NAME.tape     a call that is not told to its end; NAME begins with its start, so that names sort by age, and goes on
              with the name of its process's redo log (`bridge.spool.redo`)
HASH.kept     a finished call, where recordings are kept; HASH is that of its key
NAME.damaged  nothing that this version can read
"""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path

import structlog

from bridge.errors import SpoolError
from bridge.model.call_key import CallKey
from bridge.model.stream import StreamStarted
from bridge.spool.kept import BEING_MADE, DAMAGED, UNFINISHED, kept_name
from bridge.spool.locks import in_use, lock, sync_folder, synced
from bridge.spool.reading import is_stub, read_header
from bridge.spool.record import Header, opening
from bridge.spool.redo import forget_log, log_of, redo

log = structlog.get_logger(__name__)


class TapeFile:
    """One call's file, open and locked. Methods raise OSError when the disk refuses."""

    def __init__(self, folder: Path, header: Header, started: StreamStarted, *, log: str) -> None:
        """`log`: name of the redo log in which writes are repeated."""
        name = f"{int(header.started_at * 1000):013d}-{log}-{secrets.token_hex(4)}"
        being_made = folder / f"{name}{BEING_MADE}"
        self._path = folder / f"{name}{UNFINISHED}"
        self._key = header.key
        self.size = 0
        """Bytes."""
        self.name_synced = False
        """Whether the file outlives a power failure at all; its log is of no use before."""
        self._handle = os.open(being_made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX)
            self.write(opening(header, started))
            being_made.rename(self._path)  # under its real name it is locked, and says whose it is
        except OSError:
            os.close(self._handle)
            being_made.unlink(missing_ok=True)
            raise

    @property
    def name(self) -> str:
        return self._path.name

    def write(self, data: bytes) -> None:
        if os.write(self._handle, data) < len(data):
            raise OSError("no space left for all of a write")
        self.size += len(data)

    def sync(self) -> None:
        os.fdatasync(self._handle)
        if not self.name_synced:
            sync_folder(self._path.parent)
            self.name_synced = True

    def finish(self, *, keep: bool) -> None:
        """The call is told and settled. Raises nothing."""
        if keep:
            synced(os.fdatasync, self._handle)
        _put_away(self._path, self._key, keep=keep)
        self.close()

    def close(self) -> None:
        """The file stays, for the next process."""
        os.close(self._handle)


class LeftTape:
    """A file that a process left behind, locked for this one until `close`."""

    def __init__(self, header: Header, path: Path, handle: int, *, keep: bool) -> None:
        self.header = header
        self.path = path
        self._handle = handle
        self._keep = keep

    def finish(self) -> None:
        """Its call is told and settled."""
        _put_away(self.path, self.header.key, keep=self._keep)

    def set_aside(self) -> None:
        """A person may want to look at it; no process will again."""
        self.path.rename(self.path.with_suffix(DAMAGED))

    def close(self) -> None:
        """A file that is still there is for another start."""
        forget_log(self.path.parent, log_of(self.path))
        os.close(self._handle)


def left_in(folder: Path, *, keep: bool) -> tuple[list[LeftTape], bool]:
    """Files whose process has gone, oldest first, and whether that is all of them: what a power failure has taken
    comes back from the redo log first, which a disk may refuse. What cannot be read is set aside.

    A killed process leaves its last moment in the page cache, where only a power failure can still take it: it is
    synced before it is heard.
    """
    others, refused = redo(folder)
    for path in folder.glob(f"*{BEING_MADE}"):
        if not in_use(path):
            path.unlink(missing_ok=True)
    tapes = (path for path in sorted(folder.glob(f"*{UNFINISHED}")) if log_of(path) not in others | refused)
    found = (_left(path, keep=keep) for path in tapes)
    left = [one for one in found if one is not None]
    if left:
        synced(sync_folder, folder)
    return left, not refused


def _left(path: Path, *, keep: bool) -> LeftTape | None:
    handle = lock(path)
    if handle is None:
        return None
    try:
        if is_stub(path):
            log.info("a call was cut off before its spool file had begun", file=path.name)
            path.unlink()
            os.close(handle)
            return None
        header = read_header(path)
    except (SpoolError, OSError) as error:
        log.warning("a spool file cannot be read and is set aside", file=path.name, reason=str(error))
        path.rename(path.with_suffix(DAMAGED))
        os.close(handle)
        return None
    synced(os.fdatasync, handle)
    return LeftTape(header, path, handle, keep=keep)


def _put_away(path: Path, key: CallKey, *, keep: bool) -> None:
    try:
        if keep:
            path.rename(path.with_name(kept_name(key)))
        else:
            path.unlink(missing_ok=True)
    except FileNotFoundError:
        pass  # the call was deleted, and its recording with it
    except OSError as error:
        log.warning("a spool file could not be put away", file=path.name, reason=error.strerror)
