"""A decode that hangs: given up, tried once elsewhere, then named; its thread replaced."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from bridge.errors import EngineError
from bridge.ports import Decoded
from bridge.recognise import threads
from bridge.recognise.scheduler import Scheduler
from bridge.recognise.threads import Crew, ThreadWorkers
from bridge.recognise.watchdog import PATIENCE_S, Watched
from bridge.recognise.worker import NICENESS, PATIENT, Worker
from bridge.recognise.workers import Encoded, Joining
from tests.clock import VirtualClock
from tests.engines import ScriptedPlan, ScriptedWorkers, job, texts
from tests.receiver import until

NEVER = 10_000.0


def ignore(_place: int, _: Decoded) -> None:
    """Whoever asked does not look."""


class Hanging(ScriptedWorkers):
    """The first `hangs` steps never end by themselves."""

    hangs = 1
    given_up = 0

    async def _take(self, seconds: float, apart: bool) -> None:
        self.hangs, hangs = self.hangs - 1, self.hangs > 0
        try:
            if hangs:
                await self.clock.sleep(NEVER)
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        await super()._take(seconds, apart)


@pytest.mark.parametrize(
    ("hangs", "found"),
    [pytest.param(1, "words", id="once: tried elsewhere"), pytest.param(2, None, id="twice: its caller hears of it")],
)
async def test_a_decode_that_hangs(clock: VirtualClock, hangs: int, found: str | None) -> None:
    """It is given up after its deadline and tried once more; whoever asked is answered either way."""
    workers = Hanging(clock=clock)
    workers.hangs = hangs
    scheduler: Scheduler[ScriptedPlan] = Scheduler(Watched(workers, clock), clock)
    asked = asyncio.create_task(scheduler.decode(job("words")))
    await clock.advance(PATIENCE_S - 1)
    assert not asked.done()
    await clock.advance(10 * PATIENCE_S)
    assert workers.given_up == hangs
    if found is None:
        assert isinstance(asked.exception(), EngineError)
    else:
        assert texts([asked.result()]) == [found]
    await scheduler.close()


def encoded(workers: ScriptedWorkers, *, careful: bool = False) -> list[Encoded[ScriptedPlan]]:
    """A batch of one."""
    return [Encoded(workers.plan(replace(job("words"), careful=careful)), None)]


async def is_given_up(
    clock: VirtualClock, watched: Watched[ScriptedPlan], batch: Sequence[Encoded[ScriptedPlan]]
) -> bool:
    decoding = asyncio.create_task(watched.decode(batch, ignore, Joining(0)))
    await clock.advance(100)
    return isinstance(decoding.exception(), EngineError)


async def test_what_is_slow_here_is_given_longer(clock: VirtualClock) -> None:
    """The limit follows what decodes have taken on this machine."""
    workers = ScriptedWorkers(clock=clock, seconds=PATIENCE_S + 4)
    watched: Watched[ScriptedPlan] = Watched(workers, clock)
    assert await is_given_up(clock, watched, encoded(workers))
    workers.at_once, workers.seconds = 0, 4.0
    for _ in range(30):
        assert not await is_given_up(clock, watched, encoded(workers))
    workers.seconds = PATIENCE_S + 4
    assert not await is_given_up(clock, watched, encoded(workers))


async def test_a_decode_that_gets_no_processor_does_not_hang(clock: VirtualClock) -> None:
    """Time for which it was kept waiting does not count, or a busy machine would load model after model."""
    workers = ScriptedWorkers(clock=clock, seconds=50.0)
    began = clock.monotonic()
    watched: Watched[ScriptedPlan] = Watched(workers, clock, kept_waiting_s=lambda: 0.9 * (clock.monotonic() - began))
    told: list[Decoded] = []
    decoding = asyncio.create_task(watched.decode(encoded(workers), told.insert, Joining(0)))
    await clock.advance(50.5)
    await decoding
    assert texts(told) == ["words"]


@pytest.mark.parametrize("careful", [False, True])
async def test_care_is_given_longer(clock: VirtualClock, careful: bool) -> None:
    """Several hypotheses take their time: one that goes by them is no hanging decode."""
    workers = ScriptedWorkers(clock=clock, seconds=PATIENCE_S + 1.5)
    watched: Watched[ScriptedPlan] = Watched(workers, clock)
    assert await is_given_up(clock, watched, encoded(workers, careful=careful)) is not careful


async def test_an_encoder_that_hangs(clock: VirtualClock) -> None:
    """The first step has its own limit."""
    workers = ScriptedWorkers(clock=clock, encoding_s=NEVER)
    watched: Watched[ScriptedPlan] = Watched(workers, clock)
    encoding = asyncio.create_task(watched.encode(workers.plan(job("words"))))
    await clock.advance(PATIENCE_S - 1)
    assert not encoding.done()
    await clock.advance(PATIENCE_S)
    assert isinstance(encoding.exception(), EngineError)


class Model:
    """Stands in for Whisper: hangs until released, breaks, or answers."""

    def __init__(self) -> None:
        self.loaded = 0
        self.decoder = "packed"
        self.hangs = False
        self.breaks: BaseException | None = None
        self.begun = threading.Semaphore(0)
        self.released = threading.Event()

    def load(self) -> Any:
        self.loaded += 1
        self.decoder = "packed"
        return self

    def use(self, decoder: str) -> None:
        self.decoder = decoder

    def decode(self, plans: Sequence[Any], _more: object) -> Iterator[tuple[int, Decoded]]:
        if self.breaks is not None:
            raise self.breaks
        for place in range(len(plans)):
            if self.hangs:
                self.begun.release()
                self.released.wait()
            yield place, Decoded.nothing("en")


@pytest.fixture
async def model() -> AsyncIterator[Model]:
    model = Model()
    yield model
    model.released.set()


async def hang(model: Model, workers: ThreadWorkers) -> None:
    """One decode that has begun, hangs and is given up."""
    model.hangs = True
    decoding = asyncio.create_task(workers.decode([None], ignore, Joining(0)))  # type: ignore[list-item]
    await asyncio.to_thread(model.begun.acquire)
    decoding.cancel()
    await asyncio.wait({decoding})
    model.hangs = False


async def one(workers: ThreadWorkers) -> int:
    told: list[Decoded] = []
    await workers.decode([None], told.insert, Joining(0))  # type: ignore[list-item]
    return len(told)


async def test_a_thread_that_hangs_is_replaced(model: Model) -> None:
    """Whoever comes next is served, by a thread with a model of its own, which decodes as the first one did; closing
    waits for nobody that hangs.
    """
    crew = Crew(model.load, count=1)
    crew.use("library")
    workers = ThreadWorkers(crew)
    await hang(model, workers)
    assert (await one(workers), model.loaded, workers.fault) == (1, 2, None)
    assert model.decoder == "library"
    await workers.close()


async def test_replacing_has_an_end(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then what is asked for fails at once, and readiness says why; threads that come back are counted again."""
    monkeypatch.setattr(threads, "MOST_STUCK", 2)
    workers = ThreadWorkers(Crew(model.load, count=1))
    for _ in range(3):
        await hang(model, workers)
    with pytest.raises(EngineError):
        await one(workers)
    assert workers.count == 1
    assert workers.fault is not None
    assert "3 decodes do not come back" in workers.fault
    model.released.set()
    await until(lambda: workers.fault is None)
    assert await one(workers) == 1
    await workers.close()


@pytest.mark.parametrize("error", [ValueError("bad"), SystemExit("gone")], ids=["raises", "ends-its-thread"])
async def test_a_decode_that_breaks_leaves_its_thread_at_work(model: Model, error: BaseException) -> None:
    """Not even what would end a thread, or the server, does."""
    workers = ThreadWorkers(Crew(model.load, count=1))
    model.breaks = error
    with pytest.raises((ValueError, RuntimeError)):
        await one(workers)
    model.breaks = None
    assert (await one(workers), model.loaded) == (1, 1)
    await workers.close()


class SecondHangs(Model):
    """Answers the first of a batch at once."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = threading.Event()

    def decode(self, plans: Sequence[Any], _more: object) -> Iterator[tuple[int, Decoded]]:
        yield 0, Decoded.nothing("en")
        self.released.wait()
        yield 1, Decoded.nothing("en")
        self.ended.set()


async def test_each_of_a_batch_is_told_when_it_is_known() -> None:
    """The first does not wait for the second, and what is said by a decode that was given up is for nobody."""
    model = SecondHangs()
    workers = ThreadWorkers(Crew(model.load, count=1))
    told: list[Decoded] = []
    decoding = asyncio.create_task(workers.decode([None, None], told.insert, Joining(0)))  # type: ignore[list-item]
    await until(lambda: len(told) == 1)
    decoding.cancel()
    await asyncio.wait({decoding})
    model.released.set()
    await asyncio.to_thread(model.ended.wait)
    await asyncio.sleep(0)
    assert len(told) == 1
    await workers.close()


async def test_what_hangs_apart_hangs_apart() -> None:
    """Each crew has its own threads and its own model; who should look is told of either."""
    main, aside = Model(), Model()
    workers = ThreadWorkers(Crew(main.load, count=1), Crew(aside.load, count=1, niceness=PATIENT))
    assert (workers.count, workers.apart) == (1, 1)
    aside.hangs = True
    told: list[Decoded] = []
    hanging = asyncio.create_task(workers.decode([None], told.insert, Joining(0), apart=True))  # type: ignore[list-item]
    await asyncio.to_thread(aside.begun.acquire)
    assert await one(workers) == 1
    hanging.cancel()
    await asyncio.wait({hanging})
    aside.hangs = False
    await workers.decode([None], told.insert, Joining(0), apart=True)  # type: ignore[list-item]
    assert (len(told), main.loaded, aside.loaded, workers.fault) == (1, 1, 2, None)
    aside.released.set()
    await workers.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a niceness for each thread")
async def test_those_apart_are_nicer() -> None:
    """So that they have what others leave of the processor."""
    found = [
        await asyncio.wrap_future(worker.submit(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())))
        for worker in (Worker(), Worker(PATIENT))
    ]
    assert found[1] - found[0] == PATIENT - NICENESS
