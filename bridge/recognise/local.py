"""The engine of one process: the scheduler over threads that share one model. The default."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from threadpoolctl import threadpool_limits

from bridge.ports import Clock
from bridge.recognise import weights
from bridge.recognise.heap import keep_heap, share_heap
from bridge.recognise.processor import kept_waiting_s
from bridge.recognise.scheduler import Scheduler
from bridge.recognise.threads import Crew, ThreadWorkers
from bridge.recognise.watchdog import Watched
from bridge.recognise.whisper import Plan, Whisper
from bridge.recognise.worker import PATIENT
from bridge.settings import Settings

MOST_WORKERS: Final = 8
CPU_BATCH: Final = 4
GPU_BATCH: Final = 16

CALL_S: Final = 1.6
"""What a worker's capacity in calls is proportional to. Two workers that take 0.17 s for a rehearsed final were
measured to hold 24 calls of people who speak sixty per cent of the time, nearly all finals within a second: five more
than follow from it, for machines that do something else besides.
"""
MOST_TWICE: Final = 500_000_000
"""Bytes of weights that may be in memory twice, in 8 bits, which halves them."""

REHEARSALS: Final = 4
"""The first warms the model up, and other work on the machine slows some of the others down: the fastest counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """How the model is driven on this machine.

    On a CPU, encoding gains nothing from batches and decoding nothing from threads, so workers side by side with one
    thread each beat one worker with many. On a GPU batching is everything.
    """

    workers: int
    threads: int
    max_batch: int
    apart: int
    """More workers, over a model of their own, for what nobody waits for."""


def tuning(device: str, cores: int, size: int) -> Tuning:
    """For `cpu` or `cuda`, the cores this process may use, and weights of so many bytes."""
    if device == "cuda":
        return Tuning(workers=2, threads=1, max_batch=GPU_BATCH, apart=0)
    workers = max(1, min(cores, MOST_WORKERS))
    apart = 0 if size > MOST_TWICE else max(1, workers // 2)
    return Tuning(workers=workers, threads=1, max_batch=CPU_BATCH, apart=apart)


def capacity(final_s: float, workers: int) -> int:
    """Calls that so many workers keep up with, each of which takes `final_s` for a final (`Whisper.rehearse`)."""
    return max(1, int(workers * CALL_S / final_s))


def quickest(rehearsals: Iterable[Mapping[str, float]]) -> tuple[str, float]:
    """The decoder that took least in any of them, and its seconds."""
    took, decoder = min((seconds, name) for finals in rehearsals for name, seconds in finals.items())
    return decoder, took


def cores() -> int:
    """Cores this process may use; containers often allow fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def open_engine(
    settings: Settings, clock: Clock, progress: weights.Progress | None = None, *, on_cores: int | None = None
) -> LocalEngine:
    """Find, check and load the weights. Blocks for about two seconds, much longer where they have to be joined first;
    `progress` hears of the bytes; `on_cores` is how many to use where not all are ours. Raises SetupError that says
    what to do.
    """
    found = weights.find(
        settings.model, model_dir=settings.model_dir, download=settings.model_download, progress=progress
    )
    device = Whisper.device_for(settings.device)
    # NumPy's own threads gain the log-mel nothing, and spin on the cores that decoding needs.
    threadpool_limits(limits=1, user_api="blas")
    tuned = tuning(device, on_cores or cores(), (found.folder / "model.bin").stat().st_size)
    share_heap(tuned.workers + tuned.apart + 1)

    def load(workers: int, like: Whisper | None = None) -> Whisper:
        return Whisper(
            found.folder,
            device=device,
            compute_type=settings.compute_type,
            workers=workers,
            threads=tuned.threads,
            like=like,
        )

    crew = Crew(lambda: load(tuned.workers), count=tuned.workers)
    decoder, final_s = quickest([crew.model.rehearse() for _ in range(REHEARSALS)])
    crew.use(decoder)
    apart = None
    if tuned.apart:
        apart = Crew(lambda: load(tuned.apart, crew.model), count=tuned.apart, niceness=PATIENT)
    keep_heap()  # now: what loading took need not stay
    return LocalEngine(
        ThreadWorkers(crew, apart), clock, tuning=tuned, weights=found, model=crew.model, final_s=final_s
    )


class LocalEngine(Scheduler[Plan]):
    """The scheduler, and what it runs on."""

    def __init__(
        self,
        workers: ThreadWorkers,
        clock: Clock,
        *,
        tuning: Tuning,
        weights: weights.Found,
        model: Whisper,
        final_s: float,
    ) -> None:
        """`final_s` are the seconds for one final on this machine, alone."""
        super().__init__(Watched(workers, clock, kept_waiting_s=kept_waiting_s), clock, max_batch=tuning.max_batch)
        self._threads = workers
        self.model = model
        self.tuning = tuning
        self.capacity = capacity(final_s, tuning.workers)
        """Calls at once that it can be trusted with."""
        self.weights = weights

    @property
    def fault(self) -> str | None:
        """For readiness: why no more calls should come here, if so."""
        return self._threads.fault
