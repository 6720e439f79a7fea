"""Stand-ins for the recogniser on a virtual clock: speech whose words are loudnesses, an engine that reads them, and
workers that decode by a script.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from bridge.errors import EngineError
from bridge.model.frame import SAMPLE_RATE, Samples
from bridge.ports import Clock, Decoded, DecodedWord, DecodeJob, Urgency
from bridge.recognise.workers import Encoded, Joining, Tell

WINDOW: Final = 512
"""Samples of a segmenter's window, 32 ms; words and gaps are whole numbers of them."""

WORD: Final = 10 * WINDOW
GAP: Final = 3 * WINDOW
AUDIBLE: Final = 0.05
SHORTEST: Final = 320
"""A rest of a word shorter than this, at a window's edge, is not read."""


def spoken(*numbers: int) -> Samples:
    """Words 10 to 99: each a run of its own loudness in hundredths, with a short silence behind it."""
    quiet = np.zeros(GAP, np.float32)
    return np.concatenate([part for n in numbers for part in (np.full(WORD, n / 100, np.float32), quiet)])


def words_in(samples: Samples) -> list[DecodedWord]:
    """What `spoken` put there, read back: w10 to w99 with their places."""
    loud = np.concatenate([[False], np.abs(samples) > AUDIBLE, [False]])
    edges = np.flatnonzero(np.diff(loud.astype(int)))
    return [
        DecodedWord(text=f"w{samples[start] * 100:.0f}", start=int(start), end=int(end), probability=0.9)
        for start, end in zip(edges[::2], edges[1::2], strict=True)
        if end - start >= SHORTEST
    ]


def said(words: Sequence[DecodedWord], *, language: str = "en", sure: float = 0.95) -> Decoded:
    """A confident decode of these words."""
    return Decoded(
        text=" ".join(word.text for word in words),
        language=language,
        language_probability=sure,
        average_log_probability=-0.2,
        no_speech_probability=0.01,
        words=tuple(words),
    )


def read(job: DecodeJob) -> Decoded:
    """What a flawless model makes of a job: the words behind its forced prefix."""
    return said(words_in(job.samples)[len(job.prefix_text.split()) :], language=job.language or "en")


class ScriptedEngine:
    """Fills the `Engine` port: each decode takes a while on the clock and is answered by a function."""

    def __init__(
        self, clock: Clock, *, takes_s: float = 0.1, answer: Callable[[DecodeJob], Decoded | None] = read
    ) -> None:
        self._clock = clock
        self.takes_s = takes_s
        self.answer = answer
        self.load = 0.0
        self.jobs: list[DecodeJob] = []
        self.taken_back: list[DecodeJob] = []
        self.at: list[float] = []
        """When each job came."""

    async def decode(self, job: DecodeJob) -> Decoded | None:
        self.jobs.append(job)
        self.at.append(self._clock.monotonic())
        try:
            await self._clock.sleep(self.takes_s)
        except asyncio.CancelledError:
            self.taken_back.append(job)
            raise
        return self.answer(job)

    def pressure(self) -> float:
        return self.load

    def asked(self, *urgencies: Urgency) -> list[DecodeJob]:
        """Jobs of some urgencies, in order."""
        return [job for job in self.jobs if job.urgency in urgencies]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedPlan:
    """A job as `ScriptedWorkers` run it; its name travels in its keywords."""

    job: DecodeJob
    window_s: int
    previous_tokens: int

    @property
    def name(self) -> str:
        return self.job.keywords[0]


@dataclass(slots=True, kw_only=True)
class ScriptedWorkers:
    """Fills `Workers`: encoding takes `encoding_s`, and each batch `seconds`; one with a job named in `failing` fails,
    and so does what is named in `broken` while it is encoded. What joins a batch is decoded behind it, all at once.
    """

    clock: Clock
    count: int = 1
    apart: int = 0
    joins: bool = False
    encoding_s: float = 0.0
    seconds: float = 1.0
    failing: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    error: Exception = field(default_factory=lambda: EngineError("scripted"))
    encoded: list[str] = field(default_factory=list)
    batches: list[list[ScriptedPlan]] = field(default_factory=list)
    done_apart: list[str] = field(default_factory=list)
    """Names of what was decoded apart."""
    at_once: dict[bool, int] = field(default_factory=lambda: {False: 0, True: 0})
    """Steps that run, and those that run apart."""
    closed: bool = False

    def plan(self, job: DecodeJob) -> ScriptedPlan:
        return ScriptedPlan(
            job=job,
            window_s=math.ceil(len(job.samples) / SAMPLE_RATE),
            previous_tokens=len(job.previous_text.split()),
        )

    async def encode(self, plan: ScriptedPlan, *, apart: bool = False) -> Encoded[ScriptedPlan]:
        self.encoded.append(plan.name)
        await self._take(self.encoding_s, apart)
        if plan.name in self.broken:
            raise self.error
        return Encoded(plan, None)

    async def decode(
        self,
        batch: Sequence[Encoded[ScriptedPlan]],
        tell: Tell,
        joining: Joining[ScriptedPlan],
        *,
        apart: bool = False,
    ) -> None:
        place, coming = 0, batch
        while coming:
            plans = [encoded.plan for encoded in coming]
            self.batches.append(plans)
            if apart:
                self.done_apart.extend(plan.name for plan in plans)
            await self._take(self.seconds, apart)
            if self.failing & {plan.name for plan in plans}:
                raise self.error
            for plan in plans:
                tell(place, said([DecodedWord(text=plan.name, start=0, end=1, probability=0.9)]))
                place += 1
            coming = joining.taken(is_last=True)

    async def _take(self, seconds: float, apart: bool) -> None:
        self.at_once[apart] += 1
        assert self.at_once[apart] <= (self.apart if apart else self.count), "more steps than workers"
        if seconds:
            await self.clock.sleep(seconds)
        self.at_once[apart] -= 1

    async def close(self) -> None:
        self.closed = True

    @property
    def names(self) -> list[str]:
        """Names of all decoded jobs, batch after batch; a batch's own joined by `+`."""
        return ["+".join(plan.name for plan in batch) for batch in self.batches]


def job(
    name: str, urgency: Urgency = Urgency.FINAL, *, deadline: float = 0.0, seconds: float = 4.0, previous: int = 0
) -> DecodeJob:
    """A job for `ScriptedWorkers`: `previous` words were said before it."""
    return DecodeJob(
        samples=np.zeros(round(seconds * SAMPLE_RATE), np.float32),
        urgency=urgency,
        deadline=deadline,
        previous_text=" ".join(["word"] * previous),
        keywords=(name,),
    )


def texts(decoded: Iterable[Decoded | None]) -> list[str | None]:
    """Only what was said."""
    return [None if one is None else one.text for one in decoded]
