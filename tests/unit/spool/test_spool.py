"""Tapes on a real disk: what is written is there, what is finished is gone, and a full disk stops nobody's call."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.errors import SpoolError
from bridge.model.stream import Encoding, Leg, MediaChunk, MediaFormat, StreamItem, StreamStarted
from bridge.spool import spool as spooling
from bridge.spool import tape as taping
from bridge.spool.reading import read_blocks
from bridge.spool.record import MAGIC, Header, block, items_of, items_to_bytes, opening
from bridge.spool.spool import Spool
from tests.receiver import until

HEADER = Header(call_id="call-1", tenant="acme", started_at=1_800_000_000.25)
STARTED = StreamStarted(
    carrier="twilio",
    carrier_call_id="CA1",
    stream_id="MZ1",
    legs=(Leg.CALLER,),
    media_format=MediaFormat(encoding=Encoding.PCMU, sample_rate=8000),
)
CHUNKS = [MediaChunk(leg=Leg.CALLER, payload=bytes([n]) * 160, sequence=n, timestamp_ms=20.0 * n) for n in range(100)]


class Stopped:
    def __init__(self) -> None:
        self.times = 0
        self.threads: set[int] = set()

    def __call__(self) -> None:
        self.times += 1
        self.threads.add(threading.get_ident())


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    spool = Spool(tmp_path)
    spool.start()
    yield spool
    await spool.close()


def said(path: Path) -> list[StreamItem]:
    """All behind the stream's start."""
    [[begun], *blocks] = read_blocks(path)
    assert begun == STARTED
    return [item for items in blocks for item in items]


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def tapes(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.tape"))


async def test_what_is_said_is_on_the_disk_within_a_moment(spool: Spool, tmp_path: Path) -> None:
    """While the call goes on, in order, for the owner alone."""
    tape = spool.open(HEADER, STARTED, stopped=Stopped())
    for chunk in CHUNKS[:50]:
        tape.write(chunk)
    await until(lambda: bool(tapes(tmp_path)) and len(said(tapes(tmp_path)[0])) == 50)
    for chunk in CHUNKS[50:]:
        tape.write(chunk)
    await until(lambda: len(said(tapes(tmp_path)[0])) == 100)
    [path] = tapes(tmp_path)
    assert said(path) == CHUNKS
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_closing_keeps_what_was_said_last(tmp_path: Path) -> None:
    """A server that goes leaves every tape whole, unlocked and readable for the next."""
    spool = Spool(tmp_path)
    spool.start()
    tape = spool.open(HEADER, STARTED, stopped=Stopped())
    for chunk in CHUNKS:
        tape.write(chunk)
    await spool.close()
    [left] = Spool(tmp_path).left_behind()
    assert left.header == HEADER
    assert said(left.path) == CHUNKS
    left.finish()
    left.close()
    assert not files(tmp_path)


async def test_a_finished_tape_is_gone(spool: Spool, tmp_path: Path) -> None:
    """However short the call was."""
    for call_id in ("one", "two"):
        tape = spool.open(replace(HEADER, call_id=call_id), STARTED, stopped=Stopped())
        tape.write(CHUNKS[0])
        if call_id == "two":
            await until(lambda: bool(tapes(tmp_path)))
        tape.finish()
        await until(lambda: not files(tmp_path))


async def test_where_recordings_are_kept_a_finished_tape_stays_under_another_name(tmp_path: Path) -> None:
    """It is found by the call's id, does not show it, and no start takes it for an unfinished call."""
    spool = Spool(tmp_path, keep=True)
    spool.start()
    tape = spool.open(HEADER, STARTED, stopped=Stopped())
    tape.write(CHUNKS[0])
    tape.finish()
    await spool.close()
    [kept] = files(tmp_path)
    assert kept.suffix == ".kept"
    assert "call-1" not in kept.name
    assert said(kept) == CHUNKS[:1]
    assert Spool(tmp_path).left_behind() == []


async def test_calls_of_a_process_that_lives_are_left_alone(spool: Spool, tmp_path: Path) -> None:
    """A server that starts while another drains takes nothing away from it, and knows that it is not alone."""
    spool.open(HEADER, STARTED, stopped=Stopped())
    await until(lambda: bool(tapes(tmp_path)))
    assert spool.alone()
    other = Spool(tmp_path)
    assert other.left_behind() == []
    other.start()
    assert not other.alone()
    assert not spool.alone()
    await other.close()
    assert spool.alone()


async def test_what_cannot_be_read_is_set_aside(tmp_path: Path) -> None:
    """A foreign file stops no start and is still there for a person; half-made ones go."""
    (tmp_path / "1.tape").write_bytes(b"RIFF")
    (tmp_path / "2.tape").write_bytes(opening(replace(HEADER, call_id="c"), STARTED))
    (tmp_path / "3.new").write_bytes(b"callb")
    assert [left.header.call_id for left in Spool(tmp_path).left_behind()] == ["c"]
    assert [path.name for path in files(tmp_path)] == ["1.damaged", "2.tape"]


async def test_what_a_killed_process_left_in_memory_is_on_the_disk_before_it_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a power failure during recovery takes what the kill had not; a disk that refuses is read all the same."""
    path = tmp_path / "1.tape"
    path.write_bytes(opening(HEADER, STARTED) + block(items_to_bytes(CHUNKS)))
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", lambda handle: synced.append(os.fstat(handle).st_ino))
    [left] = Spool(tmp_path).left_behind()
    assert synced == [path.stat().st_ino]
    left.close()
    monkeypatch.setattr(os, "fdatasync", _refused)
    [left] = Spool(tmp_path).left_behind()
    assert said(left.path) == CHUNKS
    left.close()


async def test_a_full_disk_stops_the_tape_and_says_so_once(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call hears of it on its own thread; readiness says why until the disk takes bytes again."""
    stopped = Stopped()
    tape = spool.open(HEADER, STARTED, stopped=stopped)
    tape.write(CHUNKS[0])
    await until(lambda: bool(tapes(tmp_path)) and said(tapes(tmp_path)[0]) == CHUNKS[:1])
    real = os.write

    def full(handle: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def no_room(path: Path, data: bytes) -> int:
        return full(0, data)

    with monkeypatch.context() as patched:
        patched.setattr("bridge.spool.file.os.write", full)
        patched.setattr(Path, "write_bytes", no_room)
        tape.write(CHUNKS[1])
        await until(lambda: stopped.times == 1)
        with pytest.raises(SpoolError, match="No space left on device"):
            spool.check()
    assert os.write is real
    tape.write(CHUNKS[2])
    spool.check()
    assert stopped.times == 1
    assert stopped.threads == {threading.get_ident()}
    assert said(tapes(tmp_path)[0]) == CHUNKS[:1]


def left_over(folder: Path) -> list[str]:
    return [path.suffix for path in folder.iterdir()]


@pytest.mark.parametrize("length", [0, 5, 20, 27, 60])
async def test_a_file_that_was_cut_off_before_it_began_is_no_damage(spool: Spool, tmp_path: Path, length: int) -> None:
    """The power failed before the disk had any of it: nothing was heard by then that anybody could look for."""
    (tmp_path / "0001-aa.tape").write_bytes(opening(HEADER, STARTED)[:length])
    assert spool.left_behind() == []
    assert left_over(tmp_path) == []


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"RIFF", id="short-and-foreign"),
        pytest.param(b"callbridge spool 2\n" + bytes(99), id="another-version"),
        pytest.param(
            opening(HEADER, STARTED)[:40] + b"?" + opening(HEADER, STARTED)[41:], id="a-header-that-is-damaged"
        ),
        pytest.param(
            MAGIC + block(b"[" * 3000) + opening(HEADER, STARTED)[len(MAGIC) :], id="a-header-of-nothing-but-brackets"
        ),
    ],
)
async def test_what_no_process_can_read_is_set_aside(spool: Spool, tmp_path: Path, content: bytes) -> None:
    """For a person."""
    (tmp_path / "0001-aa.tape").write_bytes(content)
    assert spool.left_behind() == []
    assert left_over(tmp_path) == [".damaged"]


async def test_a_disk_that_stands_still_fills_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound the tape stops and holds no more."""
    monkeypatch.setattr(taping, "MOST_HELD", 50 * 182)
    monkeypatch.setattr(spooling, "WRITTEN_EVERY_S", 60)
    spool = Spool(tmp_path)
    stopped = Stopped()
    tape = spool.open(HEADER, STARTED, stopped=stopped)
    spool._loop = asyncio.get_running_loop()  # its thread never runs: a disk that never answers
    for chunk in CHUNKS:
        tape.write(chunk)
    await until(lambda: stopped.times == 1)
    assert items_of(tape.take()) == CHUNKS[:50]
    assert not tape.running


def _refused(*_: object) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))
