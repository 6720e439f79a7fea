"""One seed: a process lives, is cut off, another one starts on the same disk and database, until all has come to rest.

Everything of the product is real, from the composition root down. What is not: the network, the disk's faults, the
decoding threads, the receivers, and time.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import tempfile
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any

from pydantic import SecretStr

import bridge.app as app_module
from bridge.deliver.retry import JITTER, SCHEDULE_S
from bridge.errors import BridgeError
from bridge.model.events import body_from_dict
from bridge.model.stream import StreamItem
from bridge.recognise.scheduler import Scheduler
from bridge.recognise.watchdog import Watched
from bridge.settings import Settings
from bridge.spool.file import LeftTape
from bridge.store.cipher import Cipher
from bridge.store.sql import SqlStore
from bridge.web.context import Context
from bridge.web.drain import until_idle
from tests.sim.carrier import Carrier, Sent
from tests.sim.database import SimDatabase, engine
from tests.sim.disk import Disk
from tests.sim.engine import Decoders
from tests.sim.loop import Crashed, SimClock, SimLoop, StuckError
from tests.sim.plan import CALM_AFTER_S, Plan, plan
from tests.sim.readers import Reader
from tests.sim.receivers import Receivers
from tests.sim.spool import SimSpool

BASE = 1_800_000_000.0
REST_WITHIN_S = 900.0
DELIVERED_WITHIN_S = REST_WITHIN_S + sum(SCHEDULE_S) * (1 + JITTER)
"""A clock that is set on makes tries due early: they may be used up in front of receivers that are not well yet, and
the next one waits as long as the schedule says.
"""
LOOK_S = 2.0
WRITTEN_WITHIN_S = 0.3
"""What the page of guarantees calls about a quarter of a second: a turn of the spool, and a disk that takes a while."""


class World:
    """What outlives every process."""

    def __init__(self, seed: int) -> None:
        self.plan: Plan = plan(seed)
        self.rng = Random(f"turns {seed}")
        self.clock = SimClock(BASE)
        self.folder = Path(tempfile.mkdtemp(prefix="callbridge-sim-", dir=_fast_folder()))
        self.disk = Disk(self.folder)
        self.disk.refuses = self._disk_refuses
        self.receivers = Receivers(self, Random(f"receivers {seed}"))
        self.carriers = [Carrier(call, self, Random(f"carrier {seed} {call.call_id}")) for call in self.plan.calls]
        self.readers = [Reader(call.call_id, self, Random(f"reader {seed}")) for call in self.plan.calls]
        self.chunks: dict[int, Sent] = {}
        self.stopped: set[str] = set()
        """Calls of which the disk has refused something."""
        self.life = 0
        self.context: Context | None = None
        self.farewell = False
        self.loop: SimLoop | None = None
        self.at_rest = False
        self.faults: list[str] = []
        self.story: list[str] = []
        self.steps = 0

    @property
    def calm(self) -> bool:
        """Nothing goes wrong any more."""
        return self.now() >= CALM_AFTER_S

    def now(self) -> float:
        return self.clock.monotonic()

    def _disk_refuses(self) -> int | None:
        now = self.now()
        return next((number for at, until, number in self.plan.disk_refuses if at <= now < until), None)

    # -- what the composition root is given ------------------------------------------------------------------------

    async def open_store(self, _url: str, cipher: Cipher, clock: Any, *, node: str | None = None) -> SqlStore:
        store = SqlStore(SimDatabase(self), cipher, clock, node)
        await store.check_cipher()
        return store

    def spool(self, folder: Path, *, keep: bool = False) -> SimSpool:
        return SimSpool(
            folder, keep=keep, written=partial(self._mark, "written"), synced=partial(self._mark, "synced"),
            stopped=self.stopped.add, taken_over=self._taken_over,
            pause_s=lambda: self.rng.choice([0.0, 0.0, 0.001, 0.03]),
        )  # fmt: skip

    def _mark(self, how: str, items: list[StreamItem]) -> None:
        for item in items:
            if (sent := self.chunks.get(id(item))) is not None:
                setattr(sent, how, True)

    def _taken_over(self, tapes: list[LeftTape]) -> None:
        """What a killed process had only written survives a power failure from now on."""
        for tape in tapes:
            if self.disk.is_synced(tape.path):
                for sent in self._carrier(tape.header.call_id).sent:
                    sent.synced = sent.written

    def _carrier(self, call_id: str) -> Carrier:
        return next(carrier for carrier in self.carriers if carrier.plan.call_id == call_id)

    # -- lives -----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """All lives, to the end."""
        now = 0.0
        ends: list[tuple[str, float, float] | None] = [*self.plan.ends, None]
        while ends:
            end = ends.pop(0)
            self.life += 1
            if self.life > 60:
                raise StuckError("no process comes up")
            try:
                self._live(now, end)
            except Crashed:
                self._crash(power=end is not None and end[0] == "power")
                self.story.append(f"{self.now():.3f} process {self.life} is gone ({end and end[0]})")
            except BridgeError as error:  # it could not start
                self.story.append(f"{self.now():.3f} process {self.life} does not start: {error.message}")
                self._crash(power=False)
                ends.insert(0, end)
            now = self.now() + (end[2] if end else 1.0)

    def _live(self, now: float, end: tuple[str, float, float] | None) -> None:
        self.loop = loop = SimLoop(now, self.rng)
        self.clock.loop = loop
        loop.slow = 0.0
        self.disk.cut_after_writes = None
        if end is not None:
            how, when_s, _ = end
            if how == "step":
                loop.crash_at_step = round(self.rng.uniform(1, when_s * 400))
                loop.crash_at = now + when_s * 3
            elif how in {"time", "power"}:
                loop.crash_at = now + when_s
            elif how == "write":
                self.disk.cut_after_writes = round(when_s * 6)
                self.disk.cut_at = self.rng.random()
                self.disk.on_cut = partial(setattr, loop, "crashing", True)
                loop.crash_at = now + 15
        self.story.append(f"{now:.3f} process {self.life} starts")
        loop.slow = self.plan.slow_threads
        loop.live(self._process(None if end is None or end[0] != "drain" else end[1]))
        self.steps += loop.steps
        if end is not None and not self.at_rest and end[0] != "drain":
            return
        self.faults += [f"left behind: {one}" for one in loop.left()]
        self.faults += loop.faults
        loop.close()
        self._see_what_is_left()

    def _crash(self, *, power: bool) -> None:
        loop = self.loop
        assert loop is not None
        self.steps += loop.steps
        self.faults += loop.faults
        self.context = None
        self.disk.process_is_gone(power=power)
        self.receivers.under_way.clear()
        loop.bury()
        self._see_what_is_kept(power=power)
        for carrier in self.carriers:
            carrier.over = carrier.over or carrier.taken

    def _see_what_is_left(self) -> None:
        """By a process that was out of time: of a call whose tape has stopped, what had been written before."""
        for call_id in self.stopped - self._settled():
            for sent in self._carrier(call_id).sent:
                sent.kept = sent.kept and (sent.written or sent.life != self.life)

    def _settled(self) -> set[str]:
        return {row[0] for row in self.rows("SELECT call_id FROM calls WHERE settled")}

    def _see_what_is_kept(self, *, power: bool) -> None:
        settled = self._settled()
        for carrier in self.carriers:
            call_id = carrier.plan.call_id
            for sent in carrier.sent:
                if sent.accepted_at is None:
                    continue
                if sent.life != self.life:
                    sent.kept = sent.kept and (sent.synced or not power or call_id in settled)
                    continue
                sent.kept = sent.synced if power else sent.written
                late = sent.accepted_at < self.now() - WRITTEN_WITHIN_S
                if late and not sent.written and call_id not in settled | self.stopped:
                    self.faults.append(f"{call_id}: what came at {sent.accepted_at:.3f} had reached no disk")

    async def _process(self, drains_after_s: float | None) -> None:
        """One life of the server, with the world around it."""
        self.farewell = False
        engine = Scheduler(Watched(Decoders(self, self.rng), self.clock), self.clock)
        around: list[asyncio.Task[Any]] = []
        try:
            async with app_module._open(
                _settings().model_copy(update={"spool_dir": self.folder}), self.clock, engine
            ) as context:
                self.context = context
                around += [asyncio.create_task(self._around()), *(asyncio.create_task(r.read()) for r in self.readers)]
                resting = asyncio.create_task(self._rest())
                around.append(resting)
                await asyncio.wait({resting}, timeout=drains_after_s)
                if not resting.done():
                    await self._drain(context)
                else:
                    resting.result()
                context.closing.set()
                for task in around:
                    task.cancel()
                await asyncio.gather(*around, return_exceptions=True)
        finally:
            self.context = None
        await engine.close()

    async def _drain(self, context: Context) -> None:
        """As `serve` does after SIGTERM."""
        context.leaving.set()
        await until_idle(context, self.rng.choice([0.0, 1.0, 5.0]))
        self.farewell = True
        await until_idle(context, 5)
        for carrier in self.carriers:
            carrier.over = carrier.over or carrier.taken
        self.story.append(f"{self.now():.3f} process {self.life} leaves with {context.calls.active()} calls")

    async def _around(self) -> None:
        """Carriers call when it is their time; somebody sets the clock."""
        async with asyncio.TaskGroup() as tasks:
            for carrier in self.carriers:
                if not carrier.taken and not carrier.over:
                    tasks.create_task(self._later(carrier.plan.at_s, carrier.call()))
            for at_s, by_s in self.plan.jumps:
                if at_s >= self.now():
                    tasks.create_task(self._later(at_s, self._jump(by_s)))

    async def _later(self, at_s: float, coro: Any) -> None:
        try:
            await asyncio.sleep(max(0.0, at_s - self.now()))
        except asyncio.CancelledError:
            coro.close()
            raise
        await coro

    async def _jump(self, by_s: float) -> None:
        self.clock.jumped_s += by_s
        self.story.append(f"{self.now():.3f} the wall clock is set by {by_s} s")

    async def _rest(self) -> None:
        """Returns when nothing is left to be done."""
        while True:
            await asyncio.sleep(max(LOOK_S, (self.now() - REST_WITHIN_S) / 10))
            undone = self._undone()
            if self.now() > (REST_WITHIN_S if undone else DELIVERED_WITHIN_S):
                raise StuckError(f"not at rest: {undone or self._undelivered()}")
            if self.calm and not undone and not self._undelivered():
                self.at_rest = True
                return

    def _undone(self) -> list[str]:
        found = [f"carrier of {c.plan.call_id}" for c in self.carriers if not c.over]
        if self.context is None or self.context.calls.active():
            found.append("calls in progress")
        found += [f"unsettled {row[0]}" for row in self.rows("SELECT call_id FROM calls WHERE NOT settled")]
        return found + self.disk.files()

    def _undelivered(self) -> list[str]:
        return [row[0] for row in self.rows("SELECT id FROM deliveries WHERE status IN ('held', 'pending')")]

    # -- looking at what is there, past the product ----------------------------------------------------------------

    def rows(self, query: str, *given: Any) -> list[Any]:
        raw: Any = engine().raw_connection()
        try:
            found: list[Any] = raw.dbapi_connection.execute(query, given).fetchall()
        finally:
            raw.close()
        return found

    def events(self, call_id: str) -> list[tuple[int, Any]]:
        """(seq, body) of a call."""
        query = (
            "SELECT e.seq, e.type, e.body FROM events e JOIN calls c ON c.number = e.call"
            " WHERE c.call_id = ? ORDER BY e.seq"
        )
        return [(seq, body_from_dict(kind, json.loads(body))) for seq, kind, body in self.rows(query, call_id)]

    def digest(self) -> str:
        """Of everything that was told: equal for a replay."""
        told = self.rows("SELECT id, seq, type, time, body FROM events ORDER BY call, seq")
        tried = self.rows("SELECT * FROM attempts ORDER BY delivery_id, number")
        return hashlib.sha256(repr((told, tried, self.receivers.log)).encode()).hexdigest()[:16]

    def clean_up(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def _fast_folder() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  # memory, where there is such a folder


@cache
def _settings() -> Settings:
    return Settings(
        database_url="sqlite:///simulated.db", secret_key=SecretStr("simulated"), max_calls=20, language="en",
        resume_grace_s=1.0,
    )  # fmt: skip
