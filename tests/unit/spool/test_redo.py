"""What a power failure takes from a tape comes back from the redo log, and nothing else is changed by it."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.spool.record import block
from bridge.spool.redo import Entry, RedoLog, forget_log, log_of, redo

BLOCKS = [bytes([65 + n]) * (100 + n) for n in range(6)]
OFFSETS = [sum(map(len, BLOCKS[:n])) for n in range(6)]
WHOLE = b"".join(BLOCKS)


def entries(name: str, *numbers: int) -> list[Entry]:
    return [Entry(name, OFFSETS[n], BLOCKS[n]) for n in numbers]


@pytest.fixture
def log(tmp_path: Path) -> Iterator[RedoLog]:
    """Two rounds of two tapes, by a process that is about to be gone."""
    log = RedoLog(tmp_path)
    log.append(entries("a.tape", 0, 1) + entries("b.tape", 0))
    log.append(entries("a.tape", 2, 3) + entries("b.tape", 1))
    yield log
    log.close()


def gone(log: RedoLog) -> None:
    """Its process is, and with it the lock."""
    assert log._handle is not None
    fcntl.flock(log._handle, fcntl.LOCK_UN)


def suffixes(folder: Path) -> list[str]:
    return sorted(path.suffix for path in folder.iterdir())


@pytest.mark.parametrize(
    "left",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(WHOLE[:150], id="a-part"),
        pytest.param(WHOLE[:150] + bytes(300), id="zeros-where-the-rest-was"),
        pytest.param(WHOLE, id="all"),
    ],
)
def test_a_tape_is_given_what_the_power_took(log: RedoLog, tmp_path: Path, left: bytes) -> None:
    """However little of it, or how much, had reached the disk; the log goes when its entries are on it."""
    (tmp_path / "a.tape").write_bytes(left)
    (tmp_path / "b.tape").write_bytes(left[: OFFSETS[2]])
    gone(log)
    assert redo(tmp_path) == (set(), set())
    for name, blocks in (("a.tape", 4), ("b.tape", 2)):
        content = (tmp_path / name).read_bytes()
        assert content[: OFFSETS[blocks]] == WHOLE[: OFFSETS[blocks]]
        assert len(content) == max(OFFSETS[blocks], len(left) if name == "a.tape" else 0)
    assert suffixes(tmp_path) == [".tape", ".tape"]


def test_a_tape_that_was_finished_stays_gone(log: RedoLog, tmp_path: Path) -> None:
    (tmp_path / "b.tape").write_bytes(b"")
    gone(log)
    redo(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["b.tape"]


def test_the_log_of_a_process_that_lives_is_its_own(log: RedoLog, tmp_path: Path) -> None:
    """Its tapes are told by its name, and are left alone."""
    (tmp_path / "a.tape").write_bytes(b"")
    assert redo(tmp_path) == ({log.name}, set())
    assert (tmp_path / "a.tape").read_bytes() == b""


def test_a_block_that_was_cut_off_ends_the_log(log: RedoLog, tmp_path: Path) -> None:
    (tmp_path / "a.tape").write_bytes(b"")
    [path] = tmp_path.glob("*.redo")
    with path.open("ab") as file:
        file.write(block(b"x" * 500)[:200])
    gone(log)
    redo(tmp_path)
    assert (tmp_path / "a.tape").read_bytes() == WHOLE[: OFFSETS[4]]


def test_what_was_logged_before_the_log_began_anew_may_stand_behind_it(log: RedoLog, tmp_path: Path) -> None:
    """A disk that refused to cut it short has lost nothing: older entries are as true as they were."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "ftruncate", _refused)
        with pytest.raises(OSError):
            log.clear()
    log.append(entries("a.tape", 4))
    (tmp_path / "a.tape").write_bytes(WHOLE[: OFFSETS[4]])
    gone(log)
    redo(tmp_path)
    assert (tmp_path / "a.tape").read_bytes() == WHOLE[: OFFSETS[5]]


def test_a_write_that_fails_is_written_over_by_the_next(log: RedoLog, tmp_path: Path) -> None:
    real = os.pwrite

    def third(handle: int, data: bytes, offset: int) -> int:
        return real(handle, data[: len(data) // 3], offset)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "pwrite", third)
        with pytest.raises(OSError, match="no space left"):
            log.append(entries("a.tape", 4))
    log.append(entries("a.tape", 4, 5))
    (tmp_path / "a.tape").write_bytes(b"")
    gone(log)
    redo(tmp_path)
    assert (tmp_path / "a.tape").read_bytes() == WHOLE


def test_a_disk_that_takes_nothing_keeps_the_log_for_the_next_start(log: RedoLog, tmp_path: Path) -> None:
    (tmp_path / "a.tape").write_bytes(b"")
    gone(log)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "pwrite", _refused)
        assert redo(tmp_path) == (set(), {log.name})
    assert suffixes(tmp_path) == [".redo", ".tape"]
    assert redo(tmp_path) == (set(), set())
    assert (tmp_path / "a.tape").read_bytes() == WHOLE[: OFFSETS[4]]


def test_a_tape_that_is_whole_is_read_though_it_cannot_be_synced(log: RedoLog, tmp_path: Path) -> None:
    """Its log stays as long as the tape, in case that the power fails, too."""
    tape = tmp_path / f"1-{log.name}-aa.tape"
    log.append([Entry(tape.name, 0, BLOCKS[0])])
    tape.write_bytes(BLOCKS[0])
    gone(log)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fdatasync", _refused)
        assert redo(tmp_path) == (set(), set())
    forget_log(tmp_path, log_of(tape))
    assert suffixes(tmp_path) == [".redo", ".tape"]
    tape.unlink()
    forget_log(tmp_path, log_of(tape))
    assert suffixes(tmp_path) == []


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(block(b"RIFF"), id="too-short-for-an-entry"),
        pytest.param(block(b"../../elsewhere.tape".ljust(60, b"\0")), id="a-path"),
        pytest.param(block(b"settings.toml".ljust(60, b"\0")), id="no-tape"),
        pytest.param(block(b"\xff.tape".ljust(60, b"\0")), id="no-text"),
    ],
)
def test_a_log_that_is_none_of_ours_is_set_aside(tmp_path: Path, content: bytes) -> None:
    """And writes to nothing."""
    (tmp_path / "settings.toml").write_bytes(b"kept")
    (tmp_path / "aa.redo").write_bytes(content)
    redo(tmp_path)
    assert suffixes(tmp_path) == [".damaged", ".toml"]
    assert (tmp_path / "settings.toml").read_bytes() == b"kept"


def _refused(*_: object) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))
