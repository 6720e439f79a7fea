"""The real weights, loaded once; calls go through at the speed of the machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio

from bridge.calls import Calls
from bridge.clock import SystemClock
from bridge.model.events import Body, TranscriptFinal
from bridge.model.stream import Leg
from bridge.recognise import local
from bridge.settings import load
from tests.fixture_calls import FixtureCall
from tests.office import RecordingSink

DEV = Path(__file__).parents[2].parent / "shared" / "audio" / "dev"
"""Recordings for evaluation, where they are: never part of the project."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def engine() -> AsyncIterator[local.LocalEngine]:
    """`base`, as the server opens it."""
    opened = await asyncio.to_thread(local.open_engine, load(), SystemClock())
    yield opened
    await opened.close()


class Told:
    """What one call was told."""

    def __init__(self, bodies: list[Body]) -> None:
        self.bodies = bodies

    def finals(self, leg: Leg) -> list[TranscriptFinal]:
        return [body for body in self.bodies if isinstance(body, TranscriptFinal) and body.leg == leg]

    def text(self, leg: Leg) -> str:
        """The live text of a leg."""
        return " ".join(final.text for final in self.finals(leg))


Transcribe = Callable[..., Awaitable[Told]]


@pytest.fixture(scope="session")
def transcribe(engine: local.LocalEngine) -> Transcribe:
    """Takes a call and what a carrier may say about it; gives what was told until its end."""

    async def through(call: FixtureCall, *, language: str | None = "en", **parameters: str) -> Told:
        sink = RecordingSink()
        calls = Calls(
            engine=engine,
            sink=sink,
            clock=SystemClock(),
            max_calls=1,
            language=language,
            languages=frozenset(engine.model.languages),
            hangover_ms=500,
        )
        await calls.take(call.started(call_id="c", **parameters), call.items(), tenant="t")
        told = Told(list(sink.told["c"]))
        for task in list(calls._telling):  # settled text is not asked for here
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        return told

    return through
