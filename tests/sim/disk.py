"""The disk of the spool: real files, whose every write may be refused, cut in the middle, or be forgotten."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests.sim.loop import Crashed

SYNC_NAMES = ("O_WRONLY", "O_RDWR", "O_RDONLY", "O_CREAT", "O_EXCL", "O_APPEND", "O_CLOEXEC", "O_DIRECTORY")


class Disk:
    """Stands in for `os` and `fcntl` in the spool's modules. Handles of a process that is gone do nothing any more."""

    LOCK_EX, LOCK_SH, LOCK_NB = fcntl.LOCK_EX, fcntl.LOCK_SH, fcntl.LOCK_NB
    W_OK = os.W_OK

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.refuses: Callable[[], int | None] = lambda: None
        """An errno, or nothing."""
        self.cut_after_writes: int | None = None
        self.on_cut: Callable[[], None] = lambda: None
        self.cut_at = 0.5
        """How much of the write that is cut reaches the file."""
        self._next = 1_000_000
        self._open: dict[int, tuple[int, Path]] = {}
        self._synced: dict[int, int | bytes] = {}
        """What the disk itself has, by inode: so much of a file that only grows, or all of one that does not."""
        for name in SYNC_NAMES:
            setattr(self, name, getattr(os, name))

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    # -- os --------------------------------------------------------------------------------------------------------

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            self._may_refuse()
        self._next += 1
        real = os.open(path, flags, mode)
        self._open[self._next] = (real, Path(path))
        if flags & os.O_EXCL:
            self._synced.pop(self._inode(real), None)  # of a file that is gone
        return self._next

    def write(self, handle: int, data: bytes) -> int:
        return self._put(data, partial(os.write, self._real(handle)[0]))

    def pwrite(self, handle: int, data: bytes, offset: int) -> int:
        real, _ = self._real(handle)
        return self._put(data, lambda some: os.pwrite(real, some, offset))

    def pread(self, handle: int, size: int, offset: int) -> bytes:
        return os.pread(self._real(handle)[0], size, offset)

    def fstat(self, handle: int) -> os.stat_result:
        return os.fstat(self._real(handle)[0])

    def ftruncate(self, handle: int, size: int) -> None:
        self._may_refuse()
        os.ftruncate(self._real(handle)[0], size)

    def fdatasync(self, handle: int) -> None:
        real, _ = self._real(handle)
        self._may_refuse()
        file = Path(f"/proc/self/fd/{real}")
        rewritten = file.readlink().suffix == ".redo"
        self._synced[self._inode(real)] = file.read_bytes() if rewritten else os.fstat(real).st_size

    def fsync(self, handle: int) -> None:
        self._real(handle)

    def close(self, handle: int) -> None:
        found = self._open.pop(handle, None)
        if found is not None:
            os.close(found[0])

    def flock(self, handle: int, how: int) -> None:
        fcntl.flock(self._real(handle)[0], how)

    def _put(self, data: bytes, write: Callable[[bytes], int]) -> int:
        if self.cut_after_writes is not None:
            self.cut_after_writes -= 1
            if self.cut_after_writes < 0:
                write(data[: round(len(data) * self.cut_at)])
                self.on_cut()
                raise Crashed
        refused = self.refuses()
        if refused == errno.ENOSPC:
            return write(data[: len(data) // 3])
        if refused is not None:
            raise OSError(refused, os.strerror(refused))
        return write(data)

    def _real(self, handle: int) -> tuple[int, Path]:
        try:
            return self._open[handle]
        except KeyError:
            raise OSError(errno.EBADF, "of a process that is gone") from None

    def _may_refuse(self) -> None:
        refused = self.refuses()
        if refused is not None:
            raise OSError(refused, os.strerror(refused))

    @staticmethod
    def _inode(real: int) -> int:
        return os.fstat(real).st_ino

    # -- what happens to it ----------------------------------------------------------------------------------------

    def process_is_gone(self, *, power: bool) -> None:
        """Its handles and locks go with it; with the power, so does what was not synced."""
        for real, _ in self._open.values():
            os.close(real)
        self._open.clear()
        if power:
            for path in self.folder.iterdir():
                synced = self._synced.get(path.stat().st_ino, 0)
                if isinstance(synced, bytes):
                    path.write_bytes(synced)
                elif path.suffix in {".tape", ".new", ".redo"} and path.stat().st_size > synced:
                    os.truncate(path, synced)

    def is_synced(self, path: Path) -> bool:
        """Whether the power may fail and leave all of a file."""
        return self._synced.get(path.stat().st_ino, 0) == path.stat().st_size

    def handles(self) -> list[str]:
        return [path.name for _, path in self._open.values()]

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir() if path.is_file())
