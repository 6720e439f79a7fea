"""Which servers have a spool folder: each holds a lock on it for as long as it lives."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class Presence:
    """The lock of one server on its folder, shared with others."""

    def __init__(self, folder: Path) -> None:
        self._handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self._handle, fcntl.LOCK_SH)

    def alone(self) -> bool:
        """Whether no other process has it. May wait for another that asks in the same moment."""
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            return True
        finally:
            fcntl.flock(self._handle, fcntl.LOCK_SH)  # which an attempt that failed has given up

    def leave(self) -> None:
        os.close(self._handle)
