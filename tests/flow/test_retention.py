"""What is kept no longer than was said, on a real store and a real folder; time is the test's."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import StoreError
from bridge.model.records import CallFilter, CallRecord
from bridge.ports import Store
from bridge.retention import AT_ONCE, DAY_S, EVERY_S, Retention
from bridge.spool.kept import kept_name
from bridge.store.cipher import Cipher
from bridge.store.sql import open_store
from tests.clock import VirtualClock
from tests.receiver import until
from tests.story import START, Story, acmes, ended, final, started
from tests.unit.spool.test_kept import record


def retention(store: Store, folder: Path, clock: VirtualClock, **days: float | None) -> Retention:
    given = {"keep_calls_days": None, "keep_recordings_days": None, **days}
    return Retention(store=store, folder=folder, clock=clock, **given)


async def to_its_end(work: Coroutine[Any, Any, None], clock: VirtualClock) -> None:
    """Time goes by while threads and the database do theirs."""
    task = asyncio.create_task(work)
    async with asyncio.timeout(10):
        while not task.done():  # what it waits for lies beyond this loop
            await clock.advance(1)
            await asyncio.sleep(0.002)
    await task


async def a_call(store: Store, folder: Path, call_id: str, *, at: float) -> None:
    """Ended two seconds after `at`, with its recording."""
    await store.append(Story(call_id, at=at).tell(started(), final(1, "hello"), ended()))
    await store.settle(acmes(call_id), at + 3)
    record(folder, call_id)
    os.utime(folder / kept_name(acmes(call_id)), (at + 2, at + 2))


async def found(store: Store, text: str | None = None) -> tuple[CallRecord, ...]:
    return (await store.calls("acme", CallFilter(text=text), cursor=None, limit=200)).calls


async def known(store: Store) -> list[str]:
    return [call.call_id for call in await found(store)]


def files(folder: Path) -> list[Path]:
    return list(folder.glob("*.kept"))


def kept(folder: Path) -> int:
    return len(files(folder))


async def test_calls_go_when_their_days_are_over(sqlite_store: Store, tmp_path: Path, clock: VirtualClock) -> None:
    """With their recordings, and not before; those in progress stay."""
    await a_call(sqlite_store, tmp_path, "old", at=START - 5 * DAY_S)
    await a_call(sqlite_store, tmp_path, "new", at=START)
    await sqlite_store.append(Story("live", at=START - 9 * DAY_S).tell(started()))
    worker = retention(sqlite_store, tmp_path, clock, keep_calls_days=2)
    await worker.delete_old()
    assert (await known(sqlite_store), kept(tmp_path)) == (["new", "live"], 1)
    await clock.advance(2 * DAY_S + 1)
    await worker.delete_old()
    assert (await known(sqlite_store), kept(tmp_path)) == (["new", "live"], 1)
    await clock.advance(2)
    await worker.delete_old()
    assert (await known(sqlite_store), kept(tmp_path)) == (["live"], 0)


async def test_nothing_goes_unless_somebody_said_so(sqlite_store: Store, tmp_path: Path, clock: VirtualClock) -> None:
    """Without a setting all is kept."""
    await a_call(sqlite_store, tmp_path, "old", at=START - 5000 * DAY_S)
    await retention(sqlite_store, tmp_path, clock).delete_old()
    assert (await known(sqlite_store), kept(tmp_path)) == (["old"], 1)


async def test_recordings_may_go_before_their_calls(sqlite_store: Store, tmp_path: Path, clock: VirtualClock) -> None:
    """The words stay."""
    await a_call(sqlite_store, tmp_path, "old", at=START - 5 * DAY_S)
    await retention(sqlite_store, tmp_path, clock, keep_calls_days=30, keep_recordings_days=1).delete_old()
    assert (await known(sqlite_store), kept(tmp_path)) == (["old"], 0)


async def test_a_backlog_goes_in_small_steps(sqlite_store: Store, tmp_path: Path, clock: VirtualClock) -> None:
    """However much is due, no transaction deletes more than a few calls, and calls in progress get a turn in between."""
    stories = [Story(f"c{number}", at=START - 9 * DAY_S + number) for number in range(AT_ONCE + 1)]
    await sqlite_store.append([event for story in stories for event in story.tell(started(), ended())])
    deleting = asyncio.create_task(retention(sqlite_store, tmp_path, clock, keep_calls_days=1).delete_old())
    await until(lambda: clock.sleeping > 0)
    assert await known(sqlite_store) == [f"c{AT_ONCE}"]
    await clock.advance(1)
    await deleting
    assert await known(sqlite_store) == []


async def test_a_recording_whose_call_is_gone(sqlite_store: Store, tmp_path: Path, clock: VirtualClock) -> None:
    """Deleted through another server, which has a folder of its own: it goes, the others stay."""
    for call_id in ("gone", "there"):
        await a_call(sqlite_store, tmp_path, call_id, at=START)
    await sqlite_store.delete_call("acme", "gone")
    await to_its_end(retention(sqlite_store, tmp_path, clock).delete_ownerless(), clock)
    assert [path.name for path in files(tmp_path)] == [kept_name(acmes("there"))]


async def test_a_database_that_is_away_is_asked_again(
    sqlite_store: Store, tmp_path: Path, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the next round: the worker does not end."""
    await a_call(sqlite_store, tmp_path, "old", at=START - 5 * DAY_S)

    async def away(*_: object, **__: object) -> list[str]:
        raise StoreError("away")

    with monkeypatch.context() as patched:
        patched.setattr(sqlite_store, "expire", away)
        running = asyncio.create_task(retention(sqlite_store, tmp_path, clock, keep_calls_days=1).run())
        await until(lambda: clock.sleeping > 0)
        assert await known(sqlite_store) == ["old"]
    await clock.advance(EVERY_S)
    await until(lambda: kept(tmp_path) == 0)
    assert await known(sqlite_store) == []
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_no_trace_is_left_in_the_files(tmp_path: Path, clock: VirtualClock) -> None:
    """What was said is in no file of the database any more, other calls are found as before."""
    store = await open_store(f"sqlite:///{tmp_path}/callbridge.db", Cipher(["key"]), clock)
    for number in range(40):
        story = Story(f"c{number}", at=START + number)
        await store.append(story.tell(started(), final(1, f"zeppelin {number} marmalade"), ended()))
        if number != 7:
            await store.delete_call("acme", f"c{number}")

    def traces() -> int:
        return sum(file.read_bytes().count(b"zeppelin") for file in tmp_path.iterdir())

    await store.append(Story("other").tell(started(), final(1, "nothing of it"), ended()))
    assert traces() > 9
    await to_its_end(retention(store, tmp_path, clock).scrub(), clock)
    assert [call.call_id for call in await found(store, "zeppelin")] == ["c7"]
    assert [call.call_id for call in await found(store, "nothing")] == ["other"]
    await store.delete_call("acme", "c7")
    await to_its_end(retention(store, tmp_path, clock).scrub(), clock)
    assert traces() == 0
    await store.close()
