"""Recordings of finished calls: found by their call, and gone with it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.model.stream import Encoding, Leg, MediaFormat, StreamStarted
from bridge.spool.file import TapeFile
from bridge.spool.kept import forget, forget_older, owners
from bridge.spool.record import Header
from tests.story import acmes

STARTED = StreamStarted(
    carrier="twilio",
    carrier_call_id="CA1",
    stream_id="MZ1",
    legs=(Leg.CALLER,),
    media_format=MediaFormat(encoding=Encoding.PCMU, sample_rate=8000),
    parameters={},
)
HEADER = Header(call_id="one", tenant="acme", started_at=1_800_000_000.0)


def record(folder: Path, call_id: str, *, finished: bool = True, written_at: float | None = None) -> TapeFile:
    file = TapeFile(folder, replace(HEADER, call_id=call_id), STARTED, log="aa")
    if finished:
        file.finish(keep=True)
    if written_at is not None:
        for path in folder.iterdir():
            os.utime(path, (written_at, written_at))
    return file


def names(folder: Path) -> list[str]:
    return sorted(path.suffix for path in folder.iterdir())


def test_a_call_is_forgotten_wherever_its_audio_lies(tmp_path: Path) -> None:
    """Kept, set aside, or not put away yet; another call's stays."""
    record(tmp_path, "one")
    set_aside = record(tmp_path, "one", finished=False)
    next(tmp_path.glob("*.tape")).rename(tmp_path / "x.damaged")
    live = record(tmp_path, "one", finished=False)
    record(tmp_path, "two")
    (tmp_path / "unreadable.damaged").write_bytes(b"?")
    forget(tmp_path, acmes("one"))
    assert names(tmp_path) == [".damaged", ".kept"]
    assert [header and header.call_id for _, header in owners(tmp_path, after="", limit=9)] == ["two"]
    live.write(b"more")
    live.finish(keep=True)
    set_aside.close()
    assert names(tmp_path) == [".damaged", ".kept"], "a tape that was deleted is not put away"
    forget(tmp_path, acmes("one"))


def test_old_audio_goes(tmp_path: Path) -> None:
    """By when it was last written; what damage set aside goes alike, a call that is not told yet does not."""
    record(tmp_path, "old", written_at=1000.0)
    (tmp_path / "x.damaged").write_bytes(b"?")
    os.utime(tmp_path / "x.damaged", (1000.0, 1000.0))
    record(tmp_path, "new")
    record(tmp_path, "live", finished=False).close()
    os.utime(next(tmp_path.glob("*.tape")), (1000.0, 1000.0))
    assert forget_older(tmp_path, 2000.0) == 2
    assert names(tmp_path) == [".kept", ".tape"]
    assert forget_older(tmp_path, 2000.0) == 0


@pytest.mark.parametrize("limit", [1, 2, 10])
def test_owners_a_page_at_a_time(tmp_path: Path, limit: int) -> None:
    """Each recording once, with whose it is; one that cannot be read is nobody's."""
    for call_id in ("a", "b", "c"):
        record(tmp_path, call_id)
    (tmp_path / "zzz.kept").write_bytes(b"?")
    found: list[str | None] = []
    after = ""
    while page := owners(tmp_path, after=after, limit=limit):
        after = page[-1][0]
        found += [header and header.call_id for _, header in page]
    assert sorted(found, key=str) == [None, "a", "b", "c"]
