"""The folder of tapes, the thread that writes them all a few times a second, and the one that syncs them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import structlog

from bridge.errors import CapacityError, SpoolError
from bridge.model.stream import StreamStarted
from bridge.spool.file import LeftTape, TapeFile, left_in
from bridge.spool.presence import Presence
from bridge.spool.record import Header, block
from bridge.spool.redo import Entry, RedoLog
from bridge.spool.tape import Tape

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")

WRITTEN_EVERY_S: Final = 0.2
"""What was heard survives a killed process after this, and a power failure as soon as the disk has answered."""

LOGGED_ROUNDS: Final = 150
MOST_LOGGED: Final = 8 * 1024 * 1024
"""Half a minute, or so many bytes, are in the redo log before the tapes themselves are synced and it begins anew: what
is deleted stays no longer than this.
"""

SPOOL_NEEDS: Final = 200 * 1024 * 1024
"""Bytes that the disk must have free: two hours of twenty calls, both legs."""


class Spool:
    """Every call's tape. A file is locked for as long as the process that writes (or finishes) its call lives.

    A tape that cannot be written stops, says so once, and leaves its call alone; `check` says why until writing works
    again. `start` before use, `close` after: tapes that are not finished then stay for the next process.
    """

    def __init__(self, folder: Path, *, keep: bool = False) -> None:
        """`keep`: finished files stay, under another name."""
        self._folder = folder
        self._keep = keep
        self._fault: str | None = None
        self._lock = threading.Lock()
        """Guards the six below: calls fill the first two for the writer, which fills the others for the syncer."""
        self._new: list[Tape] = []
        self._done: list[tuple[Tape, bool]] = []
        self._written: set[Tape] = set()
        self._entries: list[Entry] = []
        self._entries_bytes = 0
        self._over: list[tuple[Tape, bool]] = []
        self._wake = threading.Event()
        self._closing = False
        self._open: dict[Tape, TapeFile] = {}
        """Filled by the writer, emptied by the syncer."""
        self._redo = RedoLog(folder)
        self._unsynced: set[Tape] = set()
        self._logged_rounds = 0
        """These three are the syncer's; what the redo log has of a tape is on the disk, and the tape itself not yet."""
        self._written_some = threading.Event()
        self._written_all = False
        self._threads = [
            threading.Thread(target=self._write_all, name="spool writer", daemon=True),
            threading.Thread(target=self._sync_all, name="spool syncer", daemon=True),
        ]
        self._loop: asyncio.AbstractEventLoop | None = None
        self._here: Presence | None = None
        self.found_all = True
        """Whether the last look found all that was left: a disk that cannot be written may keep a tape from us."""

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._here = Presence(self._folder)
        for thread in self._threads:
            thread.start()

    async def close(self) -> None:
        """Returns once what was written to tapes is on the disk."""
        self._closing = True
        self._wake.set()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)
        if self._here is not None:
            self._here.leave()

    # -- one call's tape -------------------------------------------------------------------------------------------

    def open(self, header: Header, started: StreamStarted, *, stopped: Callable[[], None]) -> Tape:
        """A tape for a call that begins. Its file is made at once, by the thread. `stopped`: see `Tape`."""
        tape = Tape(header, started, self, stopped=stopped)
        with self._lock:
            self._new.append(tape)
        self._wake.set()
        return tape

    def end(self, tape: Tape, *, told: bool) -> None:
        """Put a tape away: for a call that was told to its end, or that never was."""
        with self._lock:
            self._done.append((tape, told and self._keep))
        self._wake.set()

    def stop(self, tape: Tape, why: str) -> None:
        """Keep no more of a call. From any thread."""
        with self._lock:
            if not tape.running:
                return
            tape.running = False
        self._fault = why
        log.error("a call would not survive a crash any more", call_id=tape.header.call_id, reason=why)
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(tape.stopped)

    # -- what others left ------------------------------------------------------------------------------------------

    def left_behind(self) -> list[LeftTape]:
        """Calls whose process has gone, oldest first, each locked now for this one. For a thread."""
        left, self.found_all = left_in(self._folder, keep=self._keep)
        return left

    def alone(self) -> bool:
        """Whether no other server has this folder. For a thread."""
        return self._here is None or self._here.alone()

    def check(self) -> None:
        """For readiness, in a thread. Raises SpoolError, CapacityError."""
        try:
            free = shutil.disk_usage(self._folder).free
        except OSError as error:
            raise SpoolError(f"the spool folder {self._folder} is not there: {error.strerror}") from error
        if not os.access(self._folder, os.W_OK):
            raise SpoolError(f"the spool folder {self._folder} cannot be written")
        if free < SPOOL_NEEDS:
            raise CapacityError(f"the disk of the spool folder {self._folder} has only {free >> 20} MiB left")
        if self._fault is not None:
            self._try_again()

    def _try_again(self) -> None:
        probe = self._folder / "probe"
        try:
            probe.write_bytes(b"?")
            probe.unlink()
        except OSError as error:
            raise SpoolError(f"calls would not survive a crash: {error.strerror}") from error
        self._fault = None

    # -- the threads -----------------------------------------------------------------------------------------------

    def _write_all(self) -> None:
        """Make files and write to them. The page cache is enough for a killed process, and a slow fsync delays none."""
        while not self._closing:
            self._wake.wait(WRITTEN_EVERY_S)
            self._wake.clear()
            self._round()
        self._round()
        self._written_all = True
        self._written_some.set()

    def _round(self) -> None:
        with self._lock:
            new, self._new = self._new, []
            done, self._done = self._done, []
        for tape in new:
            self._guarded(self._make, tape)
        entries = {tape: entry for tape in list(self._open) if (entry := self._guarded(self._write, tape))}
        with self._lock:
            self._written.update(new, entries)
            self._entries_bytes += sum(len(entry.data) for entry in entries.values())
            if self._entries_bytes <= MOST_LOGGED:
                self._entries += entries.values()
            else:  # the syncer stands still: it will sync the tapes themselves
                self._entries.clear()
            self._over += done
        if self._open or done:
            self._written_some.set()

    def _sync_all(self) -> None:
        """Bring what was written to the disk, and put away what is finished."""
        last = False
        while not last:
            self._written_some.wait()
            self._written_some.clear()
            last = self._written_all
            self._sync_round()
        self._leave()

    def _leave(self) -> None:
        """Tapes that are not finished are the next process's."""
        self._sync_tapes()
        self._redo.close()
        for file in self._open.values():
            file.close()

    def _sync_round(self) -> None:
        with self._lock:
            written, self._written = self._written, set()
            entries, self._entries = self._entries, []
            size, self._entries_bytes = self._entries_bytes, 0
            over, self._over = self._over, []
        for tape, keep in over:
            if (file := self._open.pop(tape, None)) is not None:
                file.finish(keep=keep and tape.running)
        self._unsynced = {tape for tape in self._unsynced | written if tape in self._open}
        for tape in {tape for tape in self._unsynced if not self._open[tape].name_synced}:
            self._guarded(self._sync, tape)
        self._logged_rounds += 1
        if self._logged_rounds >= LOGGED_ROUNDS or self._redo.size + size > MOST_LOGGED or not self._open:
            self._sync_tapes()
        elif entries:
            self._log(entries)

    def _log(self, entries: list[Entry]) -> None:
        try:
            self._redo.append(entries)
        except OSError as error:
            log.warning("the redo log cannot be written", reason=error.strerror or str(error))
            self._sync_tapes()

    def _sync_tapes(self) -> None:
        """Nothing of the redo log is needed any more."""
        for tape in self._unsynced:
            self._guarded(self._sync, tape)
        self._unsynced.clear()
        self._logged_rounds = 0
        with contextlib.suppress(OSError):  # what stays in it is true
            if self._open:
                self._redo.clear()
            else:
                self._redo.close()

    def _guarded(self, step: Callable[[Tape], Answer], tape: Tape) -> Answer | None:
        """What `step` says; a disk that refuses it stops the tape."""
        if not tape.running:
            return None
        try:
            return step(tape)
        except OSError as error:
            self.stop(tape, error.strerror or str(error))
            return None

    def _make(self, tape: Tape) -> None:
        self._open[tape] = TapeFile(self._folder, tape.header, tape.started, log=self._redo.name)

    def _write(self, tape: Tape) -> Entry | None:
        payload = tape.take()
        if not payload:
            return None
        file, data = self._open[tape], block(payload)
        entry = Entry(file.name, file.size, data)
        file.write(data)
        return entry

    def _sync(self, tape: Tape) -> None:
        self._open[tape].sync()
