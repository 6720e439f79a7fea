"""Recordings that wait to be put into words, each with its order beside it: what is here outlives the server.

NAME.part    coming in, locked by the process that receives it
NAME.audio   the recording
NAME.order   what is wanted of it, locked by the process that works on it
NAME.new     an order that is being written
"""

from __future__ import annotations

import asyncio
import dataclasses
import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import structlog

from bridge.errors import CapacityError, SpoolError, TooLargeError
from bridge.model.foreign import from_json
from bridge.model.recordings import Order, RawAudio, RawEncoding
from bridge.ports import Clock
from bridge.spool.locks import in_use, lock, sync_folder
from bridge.spool.spool import SPOOL_NEEDS

log = structlog.get_logger(__name__)

COMING: Final = ".part"
AUDIO: Final = ".audio"
ORDER: Final = ".order"
BEING_WRITTEN: Final = ".new"
UNREADABLE: Final = ".damaged"

GATHERED: Final = 256 * 1024
"""Bytes held before they go to the disk, in a thread: uploads come in small pieces."""


class IncomingFile:
    """The `Upload` port: one recording that is coming in."""

    def __init__(self, path: Path, limit: int) -> None:
        """Raises SpoolError."""
        self.path = path
        self.size = 0
        self.limit = limit
        self._held = bytearray()
        self.open = True
        """Whether it may still grow: nobody has it yet, and nobody has thrown it away."""
        try:
            self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._handle, fcntl.LOCK_EX)
        except OSError as error:
            raise SpoolError(f"the spool folder takes no recording: {error.strerror}") from error

    async def write(self, data: bytes) -> None:
        self.size += len(data)
        if self.size > self.limit:
            raise self._too_large()
        self._held += data
        if len(self._held) >= GATHERED:
            await asyncio.to_thread(self.flush)

    async def place(self, data: bytes, at: int) -> None:
        self.size = max(self.size, at + len(data))
        if self.size > self.limit:
            raise self._too_large()
        await asyncio.to_thread(self._put, data, at)

    def keep(self) -> None:
        """All has come: under its real name, on the disk, still locked. For a thread. Raises SpoolError."""
        self.flush()
        try:
            os.fsync(self._handle)
            self.path = self.path.rename(self.path.with_suffix(AUDIO))
        except OSError as error:
            raise SpoolError(f"a recording could not be kept: {error.strerror}") from error

    def let_go(self) -> None:
        """An order has it now."""
        self.open = False
        os.close(self._handle)

    def discard(self) -> None:
        if self.open:
            self.path.unlink(missing_ok=True)
            self.let_go()

    def flush(self) -> None:
        held, self._held = self._held, bytearray()
        with _kept():
            _whole(os.write(self._handle, held), held)

    def _put(self, data: bytes, at: int) -> None:
        with _kept():
            _whole(os.pwrite(self._handle, data, at), data)

    def _too_large(self) -> TooLargeError:
        limit_mb = self.limit // 1_000_000
        return TooLargeError(f"more than the {limit_mb} MB that a recording may have", limit=self.limit)


@contextmanager
def _kept() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SpoolError(f"a recording could not be kept: {error.strerror}") from error


def _whole(written: int, data: bytes | bytearray) -> None:
    if written < len(data):
        raise SpoolError("the spool folder has no space left for this recording")


class Shelved:
    """An order on the disk, ours until `finish` or `close`."""

    def __init__(self, order: Order, path: Path, handle: int) -> None:
        self.order = order
        self._path = path
        self._handle = handle

    @property
    def audio(self) -> Path:
        """Where its recording is, or will be once it has been fetched."""
        return self._path.with_suffix(AUDIO)

    def finish(self) -> None:
        """It is done: nothing of it stays. The order goes first: a recording alone is swept away by any start."""
        self._path.unlink(missing_ok=True)
        self.audio.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """It stays, for another process."""
        os.close(self._handle)


class Shelf:
    """The folder. Methods that are not coroutines and touch the disk are for threads."""

    def __init__(self, folder: Path, clock: Clock, *, max_bytes: int) -> None:
        """Raises OSError when the folder cannot be made."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._clock = clock
        self._max_bytes = max_bytes

    def receive(self, shelved: Shelved | None = None) -> IncomingFile:
        """A file for an order to come, or for one that is here. Raises CapacityError, SpoolError."""
        if shutil.disk_usage(self._folder).free < SPOOL_NEEDS:
            raise CapacityError("the disk of the spool folder is full", retry_after=60)
        path = self._folder / self._new_name() if shelved is None else shelved.audio
        return IncomingFile(path.with_suffix(COMING), self._max_bytes)

    def add(self, order: Order, upload: IncomingFile | None) -> Shelved:
        """Keep an order and its recording. Raises SpoolError."""
        if upload is not None:
            upload.keep()
        name = self._new_name() if upload is None else upload.path.stem
        being_written = self._folder / f"{name}{BEING_WRITTEN}"
        path = self._folder / f"{name}{ORDER}"
        handle = -1
        try:
            handle = os.open(being_written, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(handle, fcntl.LOCK_EX)
            os.write(handle, json.dumps(dataclasses.asdict(order)).encode())
            os.fsync(handle)
            being_written.rename(path)
            sync_folder(self._folder)
            if upload is not None:
                upload.let_go()
        except OSError as error:
            being_written.unlink(missing_ok=True)
            if handle >= 0:
                os.close(handle)
            raise SpoolError(f"an order could not be kept: {error.strerror}") from error
        return Shelved(order, path, handle)

    def left_behind(self) -> list[Shelved]:
        """Orders whose process has gone, oldest first, each ours now. Uploads that were cut off are swept away."""
        for suffix in (COMING, BEING_WRITTEN, AUDIO):
            for path in self._folder.glob(f"*{suffix}"):
                if not path.with_suffix(ORDER).exists() and not in_use(path):
                    path.unlink(missing_ok=True)
        found = [self._left(path) for path in sorted(self._folder.glob(f"*{ORDER}"))]
        return [left for left in found if left is not None]

    def _left(self, path: Path) -> Shelved | None:
        handle = lock(path)
        if handle is None:
            return None
        try:
            return Shelved(_order_of(from_json(path.read_bytes())), path, handle)
        except (OSError, ValueError, TypeError, LookupError) as error:
            log.warning("an order cannot be read and is set aside", file=path.name, reason=str(error))
            path.rename(path.with_suffix(UNREADABLE))
            os.close(handle)
            return None

    def _new_name(self) -> str:
        """Names sort by age."""
        return f"{int(self._clock.now() * 1000):013d}-{secrets.token_hex(4)}"


def _order_of(fields: dict[str, Any]) -> Order:
    raw = fields["raw"]
    known = {field.name for field in dataclasses.fields(Order)}
    kept = {name: value for name, value in fields.items() if name in known}
    return Order(
        **{
            **kept,
            "keywords": tuple(fields["keywords"]),
            "raw": None if raw is None else RawAudio(**{**raw, "encoding": RawEncoding(raw["encoding"])}),
        }
    )
