"""Worker threads over a model in this process, off the event loop and nicer than it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import structlog

from bridge.errors import EngineError
from bridge.ports import Decoded, DecodeJob
from bridge.recognise.heap import give_back_heap
from bridge.recognise.whisper import Plan, Whisper
from bridge.recognise.worker import NICENESS, Worker
from bridge.recognise.workers import Encoded, Joining, Tell

log = structlog.get_logger()

T = TypeVar("T")

MOST_STUCK: Final = 4
"""Threads that hang and are replaced. Each keeps its model in memory; beyond that, those that are left do the work."""


class Crew:
    """`count` threads over one model, as nice as each other. One of them loads it, so that its own threads are as nice.

    A step that is cancelled while it runs is given up with its thread, which nothing can stop. Another thread takes
    its place, with the model loaded once more: what hangs may hold on to a part of the first one.
    """

    def __init__(self, load: Callable[[], Whisper], *, count: int, niceness: int = NICENESS) -> None:
        """Raises SetupError when the weights do not load."""
        self._load = load
        self._niceness = niceness
        self._idle = [Worker(niceness) for _ in range(count)]
        self.model: Whisper = self._idle[-1].submit(load).result()
        self._decoder = self.model.decoder
        self._count = self._wanted = count
        self._stuck: set[Worker] = set()

    @property
    def count(self) -> int:
        """Never 0: when all threads hang, what is asked for fails at once, and is named as a gap."""
        return max(1, self._count)

    @property
    def stuck(self) -> int:
        """Threads that do not come back."""
        return len(self._stuck)

    def use(self, decoder: str) -> None:
        """See `Whisper.use`; of a model that is loaded again, too."""
        self._decoder = decoder
        self.model.use(decoder)

    async def do(self, work: Callable[[Whisper], T]) -> T:
        """What `work` makes of the model, in a thread. Raises what it raises; EngineError where no thread is left."""
        if not self._idle:
            raise EngineError("no worker is left that comes back")
        worker = self._idle.pop()
        try:
            done = await asyncio.wrap_future(worker.submit(lambda: work(self.model)))
        except asyncio.CancelledError:
            self._give_up(worker)
            raise
        except BaseException:
            self._idle.append(worker)
            raise
        self._idle.append(worker)
        return done

    async def close(self) -> None:
        """Returns when those have stopped that can."""
        for worker in self._idle:
            worker.stop()
            await asyncio.to_thread(worker.join)

    def _give_up(self, worker: Worker) -> None:
        self._stuck.add(worker)
        loop = asyncio.get_running_loop()
        worker.submit(loop.call_soon_threadsafe, self._came_back, worker)  # should it ever
        worker.submit(give_back_heap)  # the model that it held has gone by then
        worker.stop()
        if len(self._stuck) > MOST_STUCK:
            self._count -= 1
            log.error("a worker that hangs is not replaced any more", workers=self._count)
            return
        fresh = Worker(self._niceness)
        fresh.submit(self._load_again)
        self._idle.append(fresh)

    def _came_back(self, worker: Worker) -> None:
        log.warning("a decode that was given up has come back")
        self._stuck.discard(worker)
        if self._count < self._wanted:
            self._count += 1
            self._idle.append(Worker(self._niceness))

    def _load_again(self) -> None:
        model = self._load()
        model.use(self._decoder)
        self.model = model
        give_back_heap()  # loading takes more than what is loaded


class ThreadWorkers:
    """Fills `Workers` with one crew, or with a second one apart, which is nicer."""

    def __init__(self, crew: Crew, apart: Crew | None = None) -> None:
        self._crew = crew
        self._apart = apart

    @property
    def count(self) -> int:
        return self._crew.count

    @property
    def apart(self) -> int:
        return self._apart.count if self._apart else 0

    @property
    def joins(self) -> bool:
        return self._crew.model.joins

    @property
    def fault(self) -> str | None:
        """Why a person should look at this process, if one should."""
        stuck = max(crew.stuck for crew in self._crews)
        if stuck < MOST_STUCK:
            return None
        return f"{stuck} decodes do not come back; restart the server to have all its workers again"

    def plan(self, job: DecodeJob) -> Plan:
        return self._crew.model.plan(job)

    async def encode(self, plan: Plan, *, apart: bool = False) -> Encoded[Plan]:
        return await self._crew_for(apart).do(lambda model: model.encode(plan))

    async def decode(
        self, batch: Sequence[Encoded[Plan]], tell: Tell, joining: Joining[Plan], *, apart: bool = False
    ) -> None:
        loop, is_awaited = asyncio.get_running_loop(), True

        def hear(index: int, decoded: Decoded) -> None:
            if is_awaited:
                tell(index, decoded)

        def work(model: Whisper) -> None:
            for index, decoded in model.decode(batch, joining.taken):
                loop.call_soon_threadsafe(hear, index, decoded)

        try:
            await self._crew_for(apart).do(work)
        finally:
            is_awaited = False

    async def close(self) -> None:
        for crew in self._crews:
            await crew.close()

    @property
    def _crews(self) -> tuple[Crew, ...]:
        return (self._crew, self._apart) if self._apart else (self._crew,)

    def _crew_for(self, apart: bool) -> Crew:
        return self._apart if apart and self._apart else self._crew
