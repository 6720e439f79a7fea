"""The calls in progress: who is let in, by what name, and what is still being settled."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

import structlog

from bridge.call import Call, CallOptions
from bridge.errors import CapacityError, ConflictError
from bridge.metrics import CALLS_ACTIVE, CALLS_ENDED, CALLS_STARTED
from bridge.model.stream import StreamItem, StreamStarted
from bridge.ports import Clock, Engine, EventSink
from bridge.speech.segmenter import SegmenterOptions

log = structlog.get_logger()

CALL_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
"""What a customer may choose as a call id; anything else is left aside and an id is minted."""

RETRY_AFTER_S: Final = 10

MOST_KEYWORDS: Final = 50


class Calls:
    """Fills the `CallTaker` port."""

    def __init__(
        self,
        *,
        engine: Engine,
        sink: EventSink,
        clock: Clock,
        max_calls: int,
        language: str | None,
        languages: frozenset[str],
        hangover_ms: int,
    ) -> None:
        self._engine = engine
        self._sink = sink
        self._clock = clock
        self._max_calls = max_calls
        self._language = language
        self._languages = languages
        self._speech = SegmenterOptions(hangover_ms=hangover_ms)
        self._active: dict[str, Call] = {}
        self._telling: set[asyncio.Task[None]] = set()

    def active(self) -> int:
        return len(self._active)

    def check_room(self) -> None:
        if len(self._active) >= self._max_calls:
            raise CapacityError(f"{self._max_calls} calls are in progress, which is all", retry_after=RETRY_AFTER_S)

    async def take(self, started: StreamStarted, items: AsyncIterator[StreamItem], *, tenant: str) -> None:
        self.check_room()
        call = self._open(started, tenant)
        with structlog.contextvars.bound_contextvars(call_id=call.call_id):
            telling = asyncio.create_task(self._tell(call), name=f"call {call.call_id}")
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)
            listening = asyncio.create_task(call.listen(items), name=f"carrier of {call.call_id}")
            try:
                await asyncio.wait({listening, telling}, return_when=asyncio.FIRST_COMPLETED)
                await _stopped(listening)
                await _first(call.ended, telling)
            finally:
                self._active.pop(call.call_id, None)
                CALLS_ACTIVE.set(len(self._active))
                await _stopped(listening)

    async def close(self) -> None:
        """Wait for the ends and the settled texts of calls that are over."""
        if self._telling:
            await asyncio.wait(self._telling)

    def _open(self, started: StreamStarted, tenant: str) -> Call:
        wanted = started.parameters.get("call_id", "")
        call_id = wanted if CALL_ID.fullmatch(wanted) else f"call_{secrets.token_hex(12)}"
        if call_id in self._active:
            raise ConflictError(f"call {call_id} is in progress")
        call = Call(
            call_id,
            started,
            engine=self._engine,
            sink=self._sink,
            clock=self._clock,
            options=self._options(started),
        )
        self._sink.open(call_id, tenant)
        self._active[call_id] = call
        CALLS_STARTED.labels(started.carrier).inc()
        CALLS_ACTIVE.set(len(self._active))
        return call

    def _options(self, started: StreamStarted) -> CallOptions:
        language = started.parameters.get("language", "").strip().lower().split("-")[0]
        keywords = [word.strip() for word in started.parameters.get("keywords", "").split(",")]
        return CallOptions(
            language=language if language in self._languages else self._language,
            keywords=tuple(word for word in keywords if word)[:MOST_KEYWORDS],
            speech=self._speech,
        )

    async def _tell(self, call: Call) -> None:
        try:
            await call.tell()
        except Exception:
            log.exception("call could not be told")
            raise
        finally:
            CALLS_ENDED.labels(call.started.carrier, call.reason).inc()
            call.ended.set()


async def _stopped(listening: asyncio.Task[None]) -> None:
    """Raises what it ended with; a carrier that is still being followed is followed no further."""
    listening.cancel()
    with suppress(asyncio.CancelledError):
        await listening


async def _first(event: asyncio.Event, task: asyncio.Task[None]) -> None:
    """Until the event is set, or the task that would set it has failed: then its error."""
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait({waiting, task}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    if task.done():
        task.result()
