"""A call's file read back, after the process that wrote it has gone."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from bridge.errors import SpoolError
from bridge.model.stream import StreamItem
from bridge.spool.record import FRAME, MAGIC, MOST_IN_BLOCK, Header, header_of, items_of

NOT_OURS: Final = (ValueError, TypeError, LookupError, OverflowError, struct.error)
"""What reading bytes that we did not write may end in."""


def read_header(path: Path) -> Header:
    """Whose call it is. Raises SpoolError for a file that is foreign, of another version, or damaged there."""
    with path.open("rb") as file:
        return _header(file, path)


def is_stub(path: Path) -> bool:
    """Whether it is the mere beginning of a file, cut off before it says whose call it is: nothing was heard yet, or
    the power failed before any of it had reached the disk.
    """
    with path.open("rb") as file:
        begun = file.read(len(MAGIC) + FRAME.size)
        if len(begun) < len(MAGIC) + FRAME.size:
            return MAGIC.startswith(begun[: len(MAGIC)])
        size, _ = FRAME.unpack(begun[len(MAGIC) :])
        return begun.startswith(MAGIC) and len(file.read(min(size, MOST_IN_BLOCK))) < size <= MOST_IN_BLOCK


def read_blocks(path: Path) -> Iterator[list[StreamItem]]:
    """What the carrier said, a write at a time, up to the end or the first block that is not whole.

    A last block that was cut off in the middle of being written is left out. Raises SpoolError once everything before
    the damage was read, when there is more behind it than such a cut explains.
    """
    with path.open("rb") as file:
        _header(file, path)
        while (payload := next_payload(file)) is not None:
            try:
                items = items_of(payload)
            except NOT_OURS as error:
                raise SpoolError(f"{path.name} is damaged: {error}") from None
            yield items
        if file.read(1):
            raise SpoolError(f"{path.name} is damaged before its end")


def _header(file: BinaryIO, path: Path) -> Header:
    if file.read(len(MAGIC)) != MAGIC:
        raise SpoolError(f"{path.name} is no spool file of this version")
    payload = next_payload(file)
    if payload is None:
        raise SpoolError(f"{path.name} breaks off before it says whose call it is")
    try:
        return header_of(payload)
    except NOT_OURS:
        raise SpoolError(f"{path.name} does not say whose call it is") from None


def next_payload(file: BinaryIO) -> bytes | None:
    """None at the end, and for a block that is not whole: the file stands behind what was read of it."""
    frame = file.read(FRAME.size)
    if len(frame) < FRAME.size:
        return None
    size, checksum = FRAME.unpack(frame)
    if size > MOST_IN_BLOCK:
        return None
    payload = file.read(size)
    return payload if len(payload) == size and zlib.crc32(payload) == checksum else None
