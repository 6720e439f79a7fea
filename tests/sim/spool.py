"""The spool with its two threads as two tasks of the loop; what they do is the product's own code."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bridge.model.stream import StreamItem
from bridge.spool.file import LeftTape
from bridge.spool.presence import Presence
from bridge.spool.redo import Entry
from bridge.spool.spool import WRITTEN_EVERY_S, Spool
from bridge.spool.tape import Tape


class _Nudge:
    """A `threading.Event` that a task can wait for."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        self._event.set()

    def clear(self) -> None:
        self._event.clear()

    async def until_set(self, limit_s: float | None = None) -> None:
        try:
            async with asyncio.timeout(limit_s):
                await self._event.wait()
        except TimeoutError:
            pass


class SimTape(Tape):
    """Knows the items that wait."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.held: list[StreamItem] = []

    def write(self, item: StreamItem) -> None:
        put = self._put
        super().write(item)
        if self._put > put:
            self.held.append(item)


class SimSpool(Spool):
    """`written` and `synced` hear of the items that have come so far, `stopped` of calls that are not kept any more,
    `taken_over` of the tapes that others left.
    """

    def __init__(
        self,
        folder: Path,
        *,
        keep: bool = False,
        written: Callable[[list[StreamItem]], None],
        synced: Callable[[list[StreamItem]], None],
        stopped: Callable[[str], None],
        taken_over: Callable[[list[LeftTape]], None],
        pause_s: Callable[[], float],
    ) -> None:
        super().__init__(folder, keep=keep)
        self._wake: Any = _Nudge()
        self._written_some: Any = _Nudge()
        self._told_written, self._told_synced, self._told_stopped = written, synced, stopped
        self._told_taken_over, self._pause_s = taken_over, pause_s
        self._in_file: dict[str, list[StreamItem]] = {}

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._here = Presence(self._folder)
        self._turns = [asyncio.create_task(self._write_turns()), asyncio.create_task(self._sync_turns())]

    async def close(self) -> None:
        self._closing = True
        self._wake.set()
        await asyncio.gather(*self._turns)
        if self._here is not None:
            self._here.leave()

    def stop(self, tape: Tape, why: str) -> None:
        self._told_stopped(tape.header.call_id)
        super().stop(tape, why)

    def left_behind(self) -> list[LeftTape]:
        left = super().left_behind()
        self._told_taken_over(left)
        return left

    async def _write_turns(self) -> None:
        while not self._closing:
            idle = not self._open and not self._new  # then turns would only cost time
            await self._wake.until_set(None if idle else WRITTEN_EVERY_S)
            self._wake.clear()
            await asyncio.sleep(self._pause_s())
            self._round()
        self._round()
        self._written_all = True
        self._written_some.set()

    async def _sync_turns(self) -> None:
        last = False
        while not last:
            await self._written_some.until_set()
            self._written_some.clear()
            await asyncio.sleep(self._pause_s())
            last = self._written_all
            self._sync_round()
        self._leave()

    def _write(self, tape: Tape) -> Entry | None:
        assert isinstance(tape, SimTape)
        held, tape.held = tape.held, []
        entry = super()._write(tape)
        self._told_written(held)
        if entry is not None:
            self._in_file.setdefault(entry.name, []).extend(held)
        return entry

    def _sync(self, tape: Tape) -> None:
        super()._sync(tape)
        self._told_synced(self._in_file.pop(self._open[tape].name, []))

    def _log(self, entries: list[Entry]) -> None:
        before = self._redo.size
        super()._log(entries)
        if self._redo.size > before:
            for entry in entries:
                self._told_synced(self._in_file.pop(entry.name, []))
