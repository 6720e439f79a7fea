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
from bridge.spool.record import MAGIC, Header, block, items_of, opening
from bridge.spool.redo import Entry, entries_to_bytes
from bridge.spool.spool import Spool
from tests.receiver import until
from tests.tapes import payload_of

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
    path.write_bytes(opening(HEADER, STARTED) + block(payload_of(CHUNKS)))
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", lambda handle: synced.append(os.fstat(handle).st_ino))
    [left] = Spool(tmp_path).left_behind()
    assert synced == [path.stat().st_ino]
    left.close()
    monkeypatch.setattr(os, "fdatasync", _refused)
    [left] = Spool(tmp_path).left_behind()
    assert said(left.path) == CHUNKS
    left.close()


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How much of each file a power failure leaves."""
    sizes: dict[str, int] = {}
    real = os.fdatasync

    def noted(handle: int) -> None:
        size = os.fstat(handle).st_size
        real(handle)
        sizes[Path(f"/proc/self/fd/{handle}").readlink().name] = size

    monkeypatch.setattr(os, "fdatasync", noted)
    return sizes


def logs(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.redo"))


async def test_what_was_said_outlives_a_power_failure(tmp_path: Path, synced: dict[str, int]) -> None:
    """All but the first of it by the redo log: one sync brings the moments of all calls to the disk."""
    spool = Spool(tmp_path)
    spool.start()
    calls = [spool.open(replace(HEADER, call_id=f"call-{n}"), STARTED, stopped=Stopped()) for n in range(8)]
    await until(lambda: len(synced) == 8)
    begun = dict(synced)
    for chunk in CHUNKS:
        for tape in calls:
            tape.write(chunk)
    await until(lambda: len(logs(tmp_path)) == 1 and synced.get(logs(tmp_path)[0].name, 0) > 8 * 100 * 160)
    assert {name: synced[name] for name in begun} == begun
    after = tmp_path / "after"
    after.mkdir()
    for path in [*tapes(tmp_path), *logs(tmp_path)]:
        (after / path.name).write_bytes(path.read_bytes()[: synced[path.name]])
    left = Spool(after).left_behind()
    assert [said(one.path) for one in left] == [CHUNKS] * 8
    for one in left:
        one.close()
    await spool.close()
    assert not logs(tmp_path)


async def test_the_redo_log_is_gone_once_no_call_is_left(spool: Spool, tmp_path: Path) -> None:
    """What is deleted is deleted there as well."""
    tape = spool.open(HEADER, STARTED, stopped=Stopped())
    await until(lambda: bool(tapes(tmp_path)))
    tape.write(CHUNKS[0])
    await until(lambda: any(path.stat().st_size for path in logs(tmp_path)))
    tape.finish()
    await until(lambda: not files(tmp_path))


@pytest.mark.parametrize(
    ("bound", "value"),
    [pytest.param("LOGGED_ROUNDS", 2, id="time"), pytest.param("MOST_LOGGED", 50 * 182, id="bytes")],
)
async def test_the_redo_log_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, synced: dict[str, int], bound: str, value: int
) -> None:
    """After a while or so many bytes, with the tapes themselves on the disk."""
    monkeypatch.setattr(spooling, bound, value)
    spool = Spool(tmp_path)
    spool.start()
    tape = spool.open(HEADER, STARTED, stopped=Stopped())
    await until(lambda: bool(synced))
    for chunk in CHUNKS:
        tape.write(chunk)
    [path] = tapes(tmp_path)
    await until(lambda: len(said(path)) == 100 and synced[path.name] == path.stat().st_size)
    assert all(not log.stat().st_size for log in logs(tmp_path))
    await spool.close()


async def test_a_redo_log_that_cannot_be_written_costs_nobody_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, synced: dict[str, int]
) -> None:
    """The tapes are synced themselves."""
    monkeypatch.setattr(os, "pwrite", _refused)
    spool = Spool(tmp_path)
    spool.start()
    stopped = Stopped()
    tape = spool.open(HEADER, STARTED, stopped=stopped)
    await until(lambda: bool(synced))
    for chunk in CHUNKS:
        tape.write(chunk)
    [path] = tapes(tmp_path)
    await until(lambda: len(said(path)) == 100 and synced[path.name] == path.stat().st_size)
    assert stopped.times == 0
    await spool.close()


async def test_a_tape_that_a_disk_keeps_from_us_is_found_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The power took the end of it, and the disk takes no writing: it is not heard without that end."""
    begun, rest = opening(HEADER, STARTED), block(payload_of(CHUNKS))
    (tmp_path / "1-aa-bb.tape").write_bytes(begun)
    (tmp_path / "aa.redo").write_bytes(block(entries_to_bytes([Entry("1-aa-bb.tape", len(begun), rest)])))
    spool = Spool(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", _refused)
        assert spool.left_behind() == []
        assert not spool.found_all
    [left] = spool.left_behind()
    assert spool.found_all
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
