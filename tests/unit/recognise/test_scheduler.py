"""Who is decoded next, what may wait, and what happens when a batch fails: workers by script, time by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from bridge.errors import EngineError
from bridge.ports import Decoded, DecodeJob, Urgency
from bridge.recognise.scheduler import BACKLOG, MOST_JOINING, QUIET_S, SHED_PARTIAL_S, Scheduler
from bridge.recognise.workers import Encoded, Joining, Tell
from tests.clock import VirtualClock
from tests.engines import ScriptedPlan, ScriptedWorkers, job, texts

FINAL, SPECULATIVE, PARTIAL, SETTLE = Urgency.FINAL, Urgency.SPECULATIVE, Urgency.PARTIAL, Urgency.SETTLE
RECORDING = Urgency.RECORDING

LATER = 60.0
"""A deadline that leaves time to wait for company."""


class Bench:
    """A scheduler over scripted workers, and the jobs given to it."""

    def __init__(self, clock: VirtualClock, *, workers: int = 1, max_batch: int = 4, seconds: float = 1.0) -> None:
        self.clock = clock
        self.workers = ScriptedWorkers(clock=clock, count=workers, seconds=seconds)
        self.scheduler: Scheduler[ScriptedPlan] = Scheduler(self.workers, clock, max_batch=max_batch)
        self.tasks: list[asyncio.Task[Decoded | None]] = []

    def ask(self, *jobs: DecodeJob) -> list[asyncio.Task[Decoded | None]]:
        return [asyncio.create_task(self.scheduler.decode(one)) for one in jobs]

    async def occupy(self) -> list[asyncio.Task[Decoded | None]]:
        """A final on every worker, each in a window of its own."""
        tasks = self.ask(*(job(f"busy{n}", seconds=5 + 5 * n) for n in range(self.workers.count)))
        await self.clock.settle()
        return tasks

    async def results(self, tasks: Sequence[asyncio.Task[Decoded | None]]) -> list[str | None]:
        while not all(task.done() for task in tasks):
            await self.clock.advance(0.5)
        return texts(task.result() for task in tasks)


ORDERS = {
    "finals before partials before settling": (
        [job("settle", SETTLE), job("partial", PARTIAL, deadline=9), job("final", deadline=9)],
        ["final", "partial", "settle"],
    ),
    "finals by deadline": ([job("late", deadline=3, seconds=10), job("soon", deadline=1)], ["soon", "late"]),
    "a speculation is a final with a later deadline": (
        [job("guess", SPECULATIVE, deadline=0.3, seconds=10), job("final", deadline=0.1)],
        ["final", "guess"],
    ),
    "an earlier speculation before a final": (
        [job("final", deadline=2, seconds=10), job("guess", SPECULATIVE, deadline=-9)],
        ["guess", "final"],
    ),
    "equal deadlines as they came": ([job("first", seconds=10), job("second")], ["first", "second"]),
}


@pytest.mark.parametrize(("jobs", "order"), ORDERS.values(), ids=ORDERS.keys())
async def test_the_most_urgent_job_goes_first(clock: VirtualClock, jobs: list[DecodeJob], order: list[str]) -> None:
    """A free worker takes what is needed soonest, whatever came first."""
    bench = Bench(clock)
    tasks = [*await bench.occupy(), *bench.ask(*jobs)]
    await bench.results(tasks)
    assert bench.workers.names[1:] == order


def careful(name: str) -> DecodeJob:
    return replace(job(name), careful=True)


BATCHES = {
    "like windows": ([job("a"), job("b")], ["a+b"]),
    "a window four seconds shorter": ([job("a", seconds=10), job("b", seconds=6)], ["a+b"]),
    "a window four seconds longer": ([job("a", seconds=6), job("b", seconds=10)], ["a+b"]),
    "not one longer by more": ([job("a", seconds=6), job("b", seconds=11)], ["a", "b"]),
    "nor more than four seconds between the shortest and the longest": (
        [job("a", seconds=8), job("b", seconds=6), job("c", seconds=11)],
        ["a+b", "c"],
    ),
    "other lengths of previous text": ([job("a", previous=0), job("b", previous=20)], ["a", "b"]),
    "finals and speculations": ([job("a"), job("b", SPECULATIVE)], ["a+b"]),
    "partials only with partials": (
        [job("a"), job("b", PARTIAL), job("c", PARTIAL)],
        ["a", "b+c"],
    ),
    "what needs care alone": ([job("a"), careful("b"), job("c"), careful("d")], ["a+c", "b", "d"]),
    "four at most": ([job(n) for n in "abcdef"], ["a+b+c+d", "e+f"]),
}


@pytest.mark.parametrize(("jobs", "batches"), BATCHES.values(), ids=BATCHES.keys())
async def test_only_like_jobs_share_a_batch(clock: VirtualClock, jobs: list[DecodeJob], batches: list[str]) -> None:
    """What is decoded together has windows of nearly one length, one length of previous text and one kind of need."""
    bench = Bench(clock)
    tasks = [*await bench.occupy(), *bench.ask(*(replace(one, deadline=LATER) for one in jobs))]
    assert await bench.results(tasks) == ["busy0", *(one.keywords[0] for one in jobs)]
    assert bench.workers.names[1:] == batches


@pytest.mark.parametrize("workers", [2, 3, 4])
async def test_one_worker_is_kept_from_long_steps(clock: VirtualClock, workers: int) -> None:
    """Settlings that come in one moment take all workers but one, so that a final starts at once."""
    bench = Bench(clock, workers=workers)
    settlings = bench.ask(*(job(f"s{n}", SETTLE, seconds=2 + 5 * n) for n in range(workers)))
    await clock.settle()
    assert len(bench.workers.batches) == workers - 1
    [final] = bench.ask(job("final"))
    await clock.advance(1.0)
    assert final.done()
    await bench.results(settlings)


async def test_long_steps_go_apart_where_they_can(clock: VirtualClock) -> None:
    """One after the other, at once however busy the rest is, for which they count as nothing."""
    bench = Bench(clock, workers=2)
    bench.workers.apart = 1
    settlings = bench.ask(*(job(f"s{n}", SETTLE, seconds=14, deadline=LATER) for n in range(3)))
    await clock.settle()
    assert bench.scheduler.pressure() == 0
    finals = bench.ask(job("f0", seconds=5), job("f1", seconds=10))
    await clock.settle()
    assert bench.workers.names == ["s0", "f0", "f1"]
    await bench.results([*settlings, *finals])
    assert bench.workers.done_apart == ["s0", "s1", "s2"]


async def test_nobody_goes_along_with_what_is_decoded_apart(clock: VirtualClock) -> None:
    """It takes as long as others want the processor."""
    bench = Bench(clock)
    bench.workers.apart, bench.workers.joins, bench.workers.encoding_s = 1, True, 0.1
    bench.ask(job("settled", SETTLE, seconds=14), job("busy", seconds=10))
    await clock.advance(0.15)
    await bench.results(bench.ask(job("final", deadline=LATER)))
    assert sorted(bench.workers.names) == ["busy", "final", "settled"]


async def test_partials_may_take_every_worker(clock: VirtualClock) -> None:
    """Their steps are short: a final that comes soon has the first that is free."""
    bench = Bench(clock, workers=2, seconds=0.2)
    partials = bench.ask(*(job(f"p{n}", PARTIAL, seconds=2 + 5 * n) for n in range(3)))
    await clock.settle()
    tasks = [*partials, *bench.ask(job("final"))]
    await bench.results(tasks)
    assert bench.workers.names == ["p0", "p1", "final", "p2"]


async def test_the_only_worker_also_shows_partials(clock: VirtualClock) -> None:
    """With a single worker, what is optional runs while nothing else waits."""
    bench = Bench(clock)
    assert await bench.results(bench.ask(job("partial", PARTIAL))) == ["partial"]


@pytest.mark.parametrize(
    ("urgency", "late_by", "kept"),
    [
        pytest.param(PARTIAL, SHED_PARTIAL_S - 0.5, True, id="a partial in time"),
        pytest.param(PARTIAL, SHED_PARTIAL_S + 0.5, False, id="a late partial"),
        pytest.param(FINAL, 100.0, True, id="a final, however late"),
        pytest.param(SPECULATIVE, 100.0, True, id="a speculation, however late"),
        pytest.param(SETTLE, 100.0, True, id="a settling, however late"),
    ],
)
async def test_only_late_partials_are_shed(clock: VirtualClock, urgency: Urgency, late_by: float, kept: bool) -> None:
    """Under load a partial that nobody waits for any more is answered with None; nothing else is."""
    bench = Bench(clock)
    tasks = [*await bench.occupy(), *bench.ask(job("x", urgency, deadline=1.0 - late_by))]
    assert await bench.results(tasks) == ["busy0", "x" if kept else None]
    assert bench.scheduler.stats.shed[urgency] == (0 if kept else 1)


async def test_a_cancelled_job_leaves_the_queue(clock: VirtualClock) -> None:
    """A job taken back while it waits is never decoded, and its company is."""
    bench = Bench(clock)
    busy = await bench.occupy()
    kept, dropped = bench.ask(job("kept"), job("dropped"))
    await clock.settle()
    assert bench.scheduler.queued()[FINAL] == 2
    dropped.cancel()
    await clock.settle()
    assert bench.scheduler.queued()[FINAL] == 1
    await bench.results([*busy, kept])
    assert bench.workers.names == ["busy0", "kept"]


async def test_a_job_cancelled_while_it_runs_harms_nobody(clock: VirtualClock) -> None:
    """The others of its batch get their words."""
    bench = Bench(clock)
    busy = await bench.occupy()
    kept, dropped = bench.ask(job("kept"), job("dropped"))
    await clock.advance(1.5)
    dropped.cancel()
    assert await bench.results([*busy, kept]) == ["busy0", "kept"]


async def test_a_failed_batch_is_tried_once_more_one_by_one(clock: VirtualClock) -> None:
    """One poisonous job costs its company a second decode, and only itself its words."""
    bench = Bench(clock)
    bench.workers.failing = {"bad"}
    busy = await bench.occupy()
    good, bad = bench.ask(job("good", deadline=LATER), job("bad", deadline=LATER))
    await clock.advance(10.0)
    assert bench.workers.names == ["busy0", "good+bad", "good", "bad"]
    assert texts([good.result()]) == ["good"]
    assert isinstance(bad.exception(), EngineError)
    assert (bench.scheduler.stats.failed, texts(task.result() for task in busy)) == (1, ["busy0"])


class Half(ScriptedWorkers):
    """Tells the last of a batch, a second before the rest, or before it fails."""

    async def decode(
        self,
        batch: Sequence[Encoded[ScriptedPlan]],
        tell: Tell,
        joining: Joining[ScriptedPlan],
        *,
        apart: bool = False,
    ) -> None:
        if len(batch) > 1:
            await super().decode(batch[-1:], lambda _, decoded: tell(len(batch) - 1, decoded), joining, apart=apart)
        await super().decode(batch[:-1] or batch, tell, joining, apart=apart)


async def test_each_of_a_batch_is_answered_when_it_is_known(clock: VirtualClock) -> None:
    """Nobody waits for their company's words, and what has been told is not decoded again when the rest fails."""
    workers = Half(clock=clock, failing={"bad"})
    under_test: Scheduler[ScriptedPlan] = Scheduler(workers, clock)
    busy, bad, last = (
        asyncio.create_task(under_test.decode(one))
        for one in (job("busy", seconds=10), job("bad", deadline=LATER), job("last", deadline=LATER))
    )
    await clock.advance(2.5)
    assert texts([busy.result(), last.result()]) == ["busy", "last"]
    assert not bad.done()
    await clock.advance(5.0)
    assert isinstance(bad.exception(), EngineError)
    assert workers.names == ["busy", "last", "bad", "bad"]
    await under_test.close()


@pytest.mark.parametrize("urgency", [PARTIAL, SETTLE])
async def test_what_is_optional_is_not_tried_again(clock: VirtualClock, urgency: Urgency) -> None:
    """A failed partial or settling says so at once."""
    bench = Bench(clock)
    bench.workers.failing = {"bad"}
    [bad] = bench.ask(job("bad", urgency))
    await clock.advance(5.0)
    assert isinstance(bad.exception(), EngineError)
    assert bench.workers.names == ["bad"]


async def test_a_worker_that_breaks_its_promise_still_answers(clock: VirtualClock) -> None:
    """An error that is not an EngineError reaches callers as one: nobody waits for ever."""
    bench = Bench(clock)
    bench.workers.failing, bench.workers.error = {"bad"}, RuntimeError("pool is gone")
    [bad] = bench.ask(job("bad"))
    await clock.advance(5.0)
    assert isinstance(bad.exception(), EngineError)
    assert await bench.results(bench.ask(job("next"))) == ["next"]


async def test_pressure_rises_with_work_and_falls_without(clock: VirtualClock) -> None:
    """Idle is 0; finals that wait make it 1 at once; a quiet while brings it back."""
    bench = Bench(clock, seconds=3.0)
    assert bench.scheduler.pressure() == 0.0
    tasks = [*await bench.occupy(), *bench.ask(job("a", seconds=20), job("b", seconds=12))]
    await clock.settle()
    assert bench.scheduler.pressure() == 1.0
    await bench.results(tasks)
    used = bench.scheduler.pressure()
    await clock.advance(30.0)
    assert bench.scheduler.pressure() < 0.01 < used <= 1.0


async def test_whoever_is_most_urgent_between_two_steps_goes_first(clock: VirtualClock) -> None:
    """A final comes while a partial is encoded: it has both of its steps before the partial has its second."""
    bench = Bench(clock, seconds=0.1)
    bench.workers.encoding_s = 0.1
    tasks = bench.ask(job("partial", PARTIAL, deadline=LATER))
    await clock.advance(0.05)
    tasks += bench.ask(job("final"))
    await bench.results(tasks)
    assert bench.workers.encoded == ["partial", "final"]
    assert bench.workers.names == ["final", "partial"]


async def test_two_windows_of_a_burst_are_encoded_side_by_side(clock: VirtualClock) -> None:
    """Four pauses in one moment, two workers: each does half of what there is to do."""
    bench = Bench(clock, workers=2, seconds=0.1)
    bench.workers.encoding_s = 0.1
    tasks = bench.ask(*(job(name, SPECULATIVE, deadline=0.2) for name in "abcd"))
    await clock.advance(0.41)
    assert all(task.done() for task in tasks)


async def test_what_is_needed_now_waits_for_nobody(clock: VirtualClock) -> None:
    """Company that is not encoded yet comes after it."""
    bench = Bench(clock, workers=2)
    await bench.results([*await bench.occupy(), *bench.ask(job("now"), job("other"))])
    assert bench.workers.names == ["busy0", "busy1", "now", "other"]


async def test_nobody_waits_where_nobody_comes(clock: VirtualClock) -> None:
    """However far its deadline, a free worker takes it."""
    bench = Bench(clock)
    bench.ask(job("guess", SPECULATIVE, deadline=LATER))
    await clock.settle()
    assert bench.workers.names == ["guess"]
    await clock.advance(1.0)


async def test_a_long_queue_goes_in_batches_however_late_it_is(clock: VirtualClock) -> None:
    """Company makes it shorter; what is left of it goes one by one again."""
    bench = Bench(clock)
    names = [f"f{n}" for n in range(BACKLOG + 3)]
    await bench.results([*await bench.occupy(), *bench.ask(*map(job, names))])
    assert bench.workers.names == ["busy0", "f0+f1+f2+f3", "f4"]


async def test_nobody_is_encoded_first_who_cannot_join(clock: VirtualClock) -> None:
    """A window like the first alone, and not like those that go with it, makes nobody wait."""
    bench = Bench(clock)
    bench.workers.encoding_s = 0.1
    tasks = bench.ask(job("six", seconds=6), job("ten", seconds=10), job("two", seconds=2))
    await clock.advance(0.25)
    assert bench.workers.names == ["six+ten"]
    await bench.results(tasks)


async def test_what_is_taken_back_between_two_steps_is_not_decoded(clock: VirtualClock) -> None:
    """Speech that goes on costs the first step alone."""
    bench = Bench(clock)
    bench.workers.encoding_s = 0.1
    [guess] = bench.ask(job("guess", SPECULATIVE, deadline=LATER))
    await clock.advance(0.05)
    guess.cancel()
    await clock.advance(5.0)
    assert (bench.workers.encoded, bench.workers.names) == (["guess"], [])


async def test_a_window_that_cannot_be_encoded_is_tried_once_more(clock: VirtualClock) -> None:
    """Then its caller hears of it; nobody else is touched."""
    bench = Bench(clock)
    bench.workers.broken = {"bad"}
    good, bad = bench.ask(job("good"), job("bad"))
    await clock.advance(5.0)
    assert texts([good.result()]) == ["good"]
    assert isinstance(bad.exception(), EngineError)
    assert bench.workers.encoded == ["good", "bad", "bad"]


async def test_settling_that_waited_for_a_busy_machine_runs_by_its_deadline(clock: VirtualClock) -> None:
    """Settled text is late on a full machine, and never missing."""
    bench = Bench(clock)
    busy = bench.ask(*(job(f"busy{n}", seconds=4 + 2 * (n % 2)) for n in range(40)))
    await clock.advance(6.0)
    [settle] = bench.ask(job("settle", SETTLE, deadline=clock.monotonic() + 5.0))
    assert await bench.results([settle]) == ["settle"]
    await bench.results(busy)


async def test_recordings_on_an_idle_machine(clock: VirtualClock) -> None:
    """While nobody is on the phone they have every worker, in batches."""
    bench = Bench(clock, workers=2)
    tasks = bench.ask(*(job(f"r{n}", RECORDING, seconds=28) for n in range(8)))
    await bench.results(tasks)
    assert sorted(len(batch) for batch in bench.workers.batches) == [4, 4]


async def test_recordings_apart(clock: VirtualClock) -> None:
    """One by one while there are calls, and never there while there are none."""
    bench = Bench(clock, workers=2)
    bench.workers.apart = 1
    await bench.results(bench.ask(job("call", seconds=1)))
    await bench.results(bench.ask(*(job(f"r{n}", RECORDING, seconds=28) for n in range(24))))
    apart = len(bench.workers.done_apart)
    assert bench.workers.done_apart == [f"r{n}" for n in range(apart)]
    assert 5 < apart < 12
    assert any("+" in name for name in bench.workers.names)


async def test_recordings_beside_a_call(clock: VirtualClock) -> None:
    """They come one by one, behind all that a call asks for, and leave it a worker; afterwards they have all again."""
    bench = Bench(clock, workers=2)
    await bench.results(bench.ask(job("call", seconds=1)))
    tasks = bench.ask(*(job(f"r{n}", RECORDING, seconds=28) for n in range(24)))
    await clock.settle()
    assert bench.workers.names == ["call", "r0"]
    assert bench.scheduler.pressure() < 0.5  # their work is not a call's
    await bench.results(bench.ask(job("settle", SETTLE, seconds=4), job("final", seconds=2)))
    assert bench.workers.names[:4] == ["call", "r0", "final", "settle"]
    await clock.advance(QUIET_S + 2)
    await bench.results(tasks)
    assert any("+" in name for name in bench.workers.names)


async def test_recordings_wait_for_a_busy_machine(clock: VirtualClock) -> None:
    """While calls take half of it or more they do not begin; soon after, they do, without any other job coming."""
    bench = Bench(clock)
    busy = bench.ask(*(job(f"busy{n}", seconds=4 + 2 * (n % 2)) for n in range(40)))
    await clock.advance(6.0)
    [recording] = bench.ask(job("recording", RECORDING, deadline=clock.monotonic() + 600, seconds=28))
    await bench.results(busy)
    assert not recording.done()
    await clock.advance(10.0)
    assert recording.done()


async def test_closing_waits_for_what_runs_and_sheds_what_waits(clock: VirtualClock) -> None:
    """After `close` nobody is left waiting, and the workers are closed."""
    bench = Bench(clock)
    [running] = await bench.occupy()
    waiting = bench.ask(job("final"), job("partial", PARTIAL), job("settle", SETTLE))
    await clock.settle()
    closing = asyncio.create_task(bench.scheduler.close())
    await clock.advance(2.0)
    assert closing.done()
    assert bench.workers.closed
    assert texts([running.result()]) == ["busy0"]
    assert all(task.done() for task in waiting)
    assert bench.workers.names == ["busy0"]


async def test_closing_between_two_steps(clock: VirtualClock) -> None:
    """A window that is encoded by then is not decoded any more."""
    bench = Bench(clock)
    bench.workers.encoding_s = 0.1
    [encoding] = bench.ask(job("final"))
    await clock.advance(0.05)
    closing = asyncio.create_task(bench.scheduler.close())
    await clock.advance(1.0)
    assert closing.done()
    assert encoding.cancelled()
    assert bench.workers.names == []


async def test_what_fails_while_it_closes_is_not_tried_again(clock: VirtualClock) -> None:
    """Nothing is begun any more: when `close` returns, nothing runs."""
    bench = Bench(clock)
    bench.workers.failing = {"bad"}
    [bad] = bench.ask(job("bad"))
    await clock.settle()
    closing = asyncio.create_task(bench.scheduler.close())
    await clock.advance(10.0)
    assert closing.done()
    assert isinstance(bad.exception(), EngineError)
    assert bench.workers.names == ["bad"]


async def test_counts_say_what_was_done(clock: VirtualClock) -> None:
    """Figures for /metrics: decodes by urgency, batch sizes, seconds of work and of speech."""
    bench = Bench(clock)
    tasks = [
        *await bench.occupy(),
        *bench.ask(*(job(name, deadline=LATER) for name in "ab"), job("c", PARTIAL, deadline=9)),
    ]
    await bench.results(tasks)
    stats = bench.scheduler.stats
    assert (stats.decoded[FINAL], stats.decoded[PARTIAL]) == (3, 1)
    assert stats.batches == {1: 2, 2: 1}
    assert stats.speech_s == 5 + 4 + 4
    assert stats.busy_s == pytest.approx(3.0)


async def joining(clock: VirtualClock, *jobs: DecodeJob, max_batch: int = 4) -> Bench:
    """Two workers, one of which decodes `first`. While the other one encodes a job the next one is asked for, which is
    more urgent and keeps it from decoding; in the end that is `last`.
    """
    bench = Bench(clock, workers=2, max_batch=max_batch, seconds=len(jobs))
    bench.workers.joins, bench.workers.encoding_s = True, 0.1
    bench.ask(job("first"))
    await clock.advance(0.15)
    for number, one in enumerate([*jobs, job("last")]):
        bench.tasks += bench.ask(replace(one, deadline=LATER - number))
        await clock.advance(0.1 if number else 0.05)
    return bench


async def test_what_is_encoded_goes_along_with_a_decode_that_runs(clock: VirtualClock) -> None:
    """Where no worker is free for it, whatever stands before its text."""
    bench = await joining(clock, replace(job("one"), previous_text="said before"), job("two", SPECULATIVE))
    await clock.advance(0.2)
    assert bench.workers.names == ["first", "last"]
    await clock.advance(5.0)
    assert bench.workers.names == ["first", "last", "one+two"]
    assert texts(task.result() for task in bench.tasks) == ["one", "two", "last"]
    assert bench.scheduler.stats.batches == {1: 1, 3: 1}


@pytest.mark.parametrize(
    "other",
    [job("other", SETTLE), job("other", RECORDING), replace(job("other"), careful=True), job("other", seconds=9)],
    ids=["settling", "a recording", "with care", "a longer window"],
)
async def test_what_would_slow_a_decode_down_does_not_go_along(clock: VirtualClock, other: DecodeJob) -> None:
    """It waits for a worker."""
    bench = await joining(clock, other)
    await clock.advance(10.0)
    assert bench.workers.names == ["first", "last", "other"]
    assert bench.scheduler.stats.batches == {1: 3}


async def test_finals_go_along_with_settling(clock: VirtualClock) -> None:
    """Whose window is longer than theirs: it has a worker, and the other one is needed for who comes next."""
    bench = Bench(clock, workers=2)
    bench.workers.joins, bench.workers.encoding_s = True, 0.1
    bench.ask(job("settled", SETTLE, seconds=14))
    await clock.advance(0.15)
    bench.tasks = bench.ask(job("final", deadline=LATER))
    await clock.advance(0.05)
    bench.tasks += bench.ask(job("last"))
    await clock.advance(5.0)
    assert bench.workers.names == ["settled", "last", "final"]
    assert bench.scheduler.stats.batches == {1: 1, 2: 1}


async def test_only_so_many_are_decoded_together(clock: VirtualClock) -> None:
    """Who comes then waits for a worker, and has company there."""
    bench = await joining(clock, job("one"), job("two"), max_batch=2)
    await clock.advance(10.0)
    assert bench.workers.names == ["first", "last+two", "one"]
    assert bench.scheduler.stats.batches == {2: 2}


async def test_a_decode_that_is_joined_comes_to_an_end(clock: VirtualClock) -> None:
    """However many come: nobody watches over one that never ends."""
    names = [str(number) for number in range(MOST_JOINING + 2)]
    bench = await joining(clock, *(job(name) for name in names), max_batch=100)
    await clock.advance(60.0)
    assert texts(task.result() for task in bench.tasks) == [*names, "last"]
    assert max(bench.scheduler.stats.batches) == 1 + MOST_JOINING


async def test_when_a_decode_fails_all_that_joined_it_are_tried_again(clock: VirtualClock) -> None:
    """By themselves, as those are that were there from the start."""
    bench = await joining(clock, job("good"), job("bad"))
    bench.workers.failing = {"bad"}
    await clock.advance(20.0)
    good, bad, _ = bench.tasks
    assert texts([good.result()]) == ["good"]
    assert isinstance(bad.exception(), EngineError)
    assert bench.workers.names == ["first", "last", "good+bad", "bad", "good"]


async def test_who_hangs_up_while_it_goes_along(clock: VirtualClock) -> None:
    """Does not hurt the others."""
    bench = await joining(clock, job("gone"), job("there"))
    bench.tasks[0].cancel()
    await clock.advance(10.0)
    assert texts([bench.tasks[1].result()]) == ["there"]
