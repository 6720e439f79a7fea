"""A leg that a test speaks on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

import numpy as np
import pytest

from bridge.model.speech import SpeechAudio, SpeechBegan, SpeechOver, SpeechPaused, SpeechWentOn
from bridge.model.stream import Leg
from bridge.recognise.heard import Heard
from bridge.recognise.hearing import Hearing, HearingOptions
from tests.clock import VirtualClock
from tests.engines import GAP, WINDOW, ScriptedEngine, spoken

T = TypeVar("T")

PAUSE_WINDOWS = 7
"""A pause is noticed after 7 windows, 224 ms, and over after 9 more, 288 ms."""
OVER_WINDOWS = 9


class Line:
    """One leg: what a segmenter would find, window by window, as time passes."""

    def __init__(self, clock: VirtualClock, engine: ScriptedEngine, options: HearingOptions) -> None:
        self.clock = clock
        self.engine = engine
        self.position = 0
        self.out: asyncio.Queue[Heard] = asyncio.Queue()
        self.hearing = Hearing(Leg.CALLER, engine, clock, self.out, options)
        self.told: list[Heard] = []
        self._speaking = False
        self._paused = False
        self._voice_end = 0

    async def say(self, *numbers: int) -> None:
        """Speak words; begin or go on as the case may be."""
        if not self._speaking:
            self.hearing.offer([SpeechBegan(self.position, self.position)])
        elif self._paused:
            self.hearing.offer([SpeechWentOn(self.position)])
        self._speaking, self._paused = True, False
        samples = spoken(*numbers)
        await self._hear(len(samples) // WINDOW, samples)
        self._voice_end = self.position - GAP

    async def pause(self) -> None:
        """Fall silent until it is noticed."""
        await self._hear(PAUSE_WINDOWS - GAP // WINDOW)
        self._paused = True
        self.hearing.offer([SpeechPaused(self._voice_end)])
        await self.clock.settle()

    async def stop(self) -> None:
        """Stay silent until the utterance is over."""
        if not self._paused:
            await self.pause()
        await self._hear(OVER_WINDOWS)
        self.over()
        await self.clock.settle()

    def over(self) -> None:
        """The utterance ends here and now, as when the line goes dead."""
        self.hearing.offer([SpeechOver(self._voice_end if self._paused else self.position)])
        self._speaking = self._paused = False

    async def wait(self, seconds: float) -> None:
        """Nobody speaks."""
        await self.clock.advance(seconds)
        self.position += round(seconds * 16_000 / WINDOW) * WINDOW

    async def close(self) -> None:
        self.hearing.close()
        await self.clock.settle()

    def heard(self, kind: type[T]) -> list[T]:
        """All of a kind that has been told so far."""
        while not self.out.empty():
            self.told.append(self.out.get_nowait())
        return [one for one in self.told if isinstance(one, kind)]

    async def _hear(self, windows: int, samples: Any = None) -> None:
        quiet = np.zeros(windows * WINDOW, np.float32) if samples is None else samples
        for window in quiet.reshape(-1, WINDOW):
            self.hearing.offer([SpeechAudio(self.position, window)])
            self.position += WINDOW
            await self.clock.advance(WINDOW / 16_000)


@pytest.fixture
def engine(clock: VirtualClock) -> ScriptedEngine:
    return ScriptedEngine(clock)


@asynccontextmanager
async def _running(line: Line) -> AsyncIterator[None]:
    task = asyncio.create_task(line.hearing.run())
    await line.clock.settle()
    yield
    line.hearing.close()
    await line.clock.advance(60.0)
    assert task.done(), "the leg is still being heard"
    task.result()


@pytest.fixture
async def open_line(clock: VirtualClock, engine: ScriptedEngine) -> AsyncIterator[Callable[..., Any]]:
    """`await open_line(**options)` gives a Line whose hearing runs; at the end of the test it must come to its end."""
    async with AsyncExitStack() as stack:

        async def opened(**options: Any) -> Line:
            line = Line(clock, engine, HearingOptions(**{"language": "en", **options}))
            await stack.enter_async_context(_running(line))
            return line

        yield opened
