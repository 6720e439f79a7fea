"""Recordings that come in: in one piece or in several, side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.errors import TooLargeError
from bridge.spool.shelf import Shelf
from tests.clock import VirtualClock


async def test_pieces_in_any_order(tmp_path: Path, clock: VirtualClock) -> None:
    """Each has a byte of its own to begin at; the file is whole once all are there."""
    upload = Shelf(tmp_path, clock, max_bytes=9).receive()
    for data, at in ((b"ghi", 6), (b"abc", 0), (b"xxx", 3), (b"def", 3)):
        await upload.place(data, at)
    assert (upload.size, upload.path.read_bytes()) == (9, b"abcdefghi")
    upload.discard()
    assert not upload.path.exists()


async def test_a_piece_beyond_the_limit(tmp_path: Path, clock: VirtualClock) -> None:
    """Refused by where it would end, before it is written."""
    upload = Shelf(tmp_path, clock, max_bytes=9).receive()
    with pytest.raises(TooLargeError):
        await upload.place(b"abc", 7)
    assert upload.path.read_bytes() == b""
    upload.discard()
