"""A deterministic event loop: time stands still while anybody can go on, then jumps to the next thing that is due.

Nothing runs beside it. What the product gives to threads is run here, after a while and in one piece, and its answer
comes a while later: so a transaction may be kept and its caller never hear of it. The loop counts its steps and can
stop in front of any of them for good, which is what a killed process does.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
from collections.abc import Callable
from itertools import count
from random import Random
from typing import Any

STUCK_AFTER_STEPS = 3_000_000

_number = count(1).__next__


class Crashed(BaseException):
    """The process is gone."""


class StuckError(Exception):
    """Nothing is left to happen, or it never ends."""


class _Future(asyncio.Future[Any]):
    """Its place in a set does not hang on its address: a replay takes the same turns."""

    def __init__(self, *, loop: asyncio.AbstractEventLoop) -> None:
        self._number = _number()
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self._number


class _Task(asyncio.Task[Any]):
    def __init__(self, coro: Any, **how: Any) -> None:
        self._number = _number()
        super().__init__(coro, **how)

    def __hash__(self) -> int:
        return self._number


class Threads:
    """An executor as the product sees it; `loop` runs what it is given."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.busy_until: list[float] = [0.0] * most

    def shutdown(self, wait: bool = True) -> None:
        del wait


class SimLoop(asyncio.BaseEventLoop):
    """One life of a process."""

    def __init__(self, now: float, rng: Random) -> None:
        super().__init__()
        self._now = now
        self._rng = rng
        self._pool = Threads(32)
        self.steps = 0
        self.crash_at_step: int | None = None
        self.crash_at: float | None = None
        self.crashing = False
        """Set by whoever notices that the process is gone: a disk that was cut off in the middle of a write."""
        self.faults: list[str] = []
        self.slow = 0.0
        """The chance that a thread takes seconds."""
        self.set_task_factory(lambda loop, coro, **how: _Task(coro, loop=loop, **how))
        self.set_exception_handler(self._noticed)

    # -- what asyncio asks of a loop -------------------------------------------------------------------------------

    def time(self) -> float:
        return self._now

    def create_future(self) -> asyncio.Future[Any]:
        return _Future(loop=self)

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        threads = executor if isinstance(executor, Threads) else self._pool
        answer = self.create_future()
        begins = max(self._now, min(threads.busy_until)) + self._takes()
        ends = begins + self._takes()
        threads.busy_until.remove(min(threads.busy_until))
        threads.busy_until.append(ends)
        self.call_at(begins, self._work, answer, ends, func, args)
        return answer

    def _takes(self) -> float:
        chance = self._rng.random()
        if chance < self.slow:
            return self._rng.uniform(0.1, 4.0)
        return 0.0 if chance < 0.5 else self._rng.uniform(0.0, 0.02)

    def _work(self, answer: asyncio.Future[Any], ends: float, func: Callable[..., Any], args: tuple[Any, ...]) -> None:
        if answer.cancelled():
            return
        try:
            found, error = func(*args), None
        except Crashed:
            raise
        except BaseException as caught:  # noqa: BLE001  # a thread's, handed on
            found, error = None, caught
        self.call_at(ends, _tell, answer, found, error)

    def _noticed(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), Crashed):
            self.faults.append(f"{context['message']}: {context.get('exception')!r}")

    # -- running ---------------------------------------------------------------------------------------------------

    def live(self, coro: Any) -> Any:
        """Run until `coro` has ended. Raises Crashed when the process is gone before."""
        asyncio._set_running_loop(self)
        try:
            main = self.create_task(coro)
            while not main.done():
                self._step()
            while self._ready:  # type: ignore[attr-defined]
                self._step()  # whoever was cancelled at the end goes, while no time passes
            return main.result()
        finally:
            asyncio._set_running_loop(None)

    def _step(self) -> None:
        ready, timers = self._ready, self._scheduled  # type: ignore[attr-defined]  # asyncio's own, and stable
        if not ready:
            if not timers:
                raise StuckError("everybody waits and nothing will happen")
            timer = heapq.heappop(timers)
            timer._scheduled = False
            if timer._cancelled:
                return
            if self.crash_at is not None and timer._when >= self.crash_at:
                self._now = max(self._now, self.crash_at)
                raise Crashed
            self._now = max(self._now, timer._when)
            ready.append(timer)
            return
        handle = ready.popleft()
        if handle._cancelled:
            return
        self.steps += 1
        if self.steps == self.crash_at_step:
            raise Crashed
        if self.steps > STUCK_AFTER_STEPS:
            raise StuckError("it goes on for ever")
        handle._run()
        if self.crashing:
            raise Crashed

    def left(self) -> list[str]:
        """Tasks and timers that nobody has ended."""
        tasks = [repr(task) for task in asyncio.all_tasks(self)]
        timers = self._scheduled  # type: ignore[attr-defined]
        threads = {self._work, _tell}  # which end by themselves
        return tasks + [repr(timer) for timer in timers if not timer._cancelled and timer._callback not in threads]

    def bury(self) -> None:
        """Throw away what a killed process had in hand. What its code would do on the way out reaches nobody."""
        for task in asyncio.all_tasks(self):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            coro: Any = task.get_coro()
            for _ in range(20):
                try:
                    coro.close()
                except RuntimeError:  # it waits while it leaves
                    continue
                except BaseException:  # noqa: BLE001, S110  # nobody is there to hear of it
                    pass
                break
        self._ready.clear()  # type: ignore[attr-defined]
        self._scheduled.clear()  # type: ignore[attr-defined]
        self.close()
        gc.collect()  # now: what is left of this process must not be found in the next one


def _tell(answer: asyncio.Future[Any], found: Any, error: BaseException | None) -> None:
    if answer.done():
        return
    if error is None:
        answer.set_result(found)
    else:
        answer.set_exception(error)


class SimClock:
    """The `Clock` port over a loop; the wall clock may be set by somebody."""

    def __init__(self, base: float) -> None:
        self._base = base
        self.jumped_s = 0.0
        self.loop: SimLoop | None = None

    def now(self) -> float:
        return self._base + self.monotonic() + self.jumped_s

    def monotonic(self) -> float:
        return 0.0 if self.loop is None else self.loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
