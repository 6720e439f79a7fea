"""The calls in progress: who is let in, by what name, and what is still being settled."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import structlog

from bridge.call import Call, CallOptions, Told
from bridge.errors import CapacityError, ConflictError, NotFoundError
from bridge.line import Line
from bridge.metrics import CALLS_ACTIVE, CALLS_ENDED, CALLS_STARTED
from bridge.model.call_key import CallKey
from bridge.model.frame import Samples
from bridge.model.limits import within
from bridge.model.stream import Leg, StreamItem, StreamStarted
from bridge.naming import KnownOf, nobody_known
from bridge.ports import Clock, Engine, EventSink, VoiceEncoder
from bridge.speech.segmenter import SegmenterOptions
from bridge.spool.record import Header
from bridge.spool.spool import Spool
from bridge.spool.tape import Tape
from bridge.turns.options import EARLY_PAUSE_MS, TurnOptions, turn_options

log = structlog.get_logger()

CALL_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
"""What a customer may choose as a call id; anything else is left aside and an id is minted."""

RETRY_AFTER_S: Final = 10

MOST_KEYWORDS: Final = 50

SHORTEST_ENDPOINTING_MS: Final = 100
LONGEST_ENDPOINTING_MS: Final = 5000

ON: Final = ("true", "on", "yes", "1")
OFF: Final = ("false", "off", "no", "0")
"""How a call says whether its speakers are to be told apart."""

SEGMENT_MS: Final = (1000, 20_000)
"""Bounds of `segment_ms`."""

LOWEST_THRESHOLD: Final = 0.1
HIGHEST_THRESHOLD: Final = 0.95
"""What a call may choose; the voice model is never surer or less sure than that for long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Active:
    """A call in progress."""

    call: Call
    line: Line
    telling: asyncio.Task[None]
    listening: asyncio.Task[None]


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
        tenant_max_calls: int | None = None,
        resume_grace_s: float = 0,
        spool: Spool | None = None,
        voices: VoiceEncoder | None = None,
        diarize: bool = False,
        known: KnownOf | None = None,
    ) -> None:
        """`resume_grace_s`: see `Line`. Without a spool, a crash loses the calls in progress. `voices` tells speakers
        apart in calls that ask for it, and with `diarize` in all that do not say; `known` gives a tenant's own.
        """
        self._engine = engine
        self._sink = sink
        self._clock = clock
        self._max_calls = max_calls
        self._tenant_max_calls = tenant_max_calls
        self._language = language
        self._languages = languages
        self._speech = SegmenterOptions(hangover_ms=hangover_ms)
        self._resume_grace_s = resume_grace_s
        self._spool = spool
        self._voices = voices
        self._diarize = diarize
        self._known = known
        self._active: dict[CallKey, _Active] = {}
        self._reserved: set[CallKey] = set()
        """Calls that an earlier process has left."""
        self._telling: dict[asyncio.Task[None], CallKey] = {}
        """Calls that are not settled yet, by what tells them."""

    def active(self) -> int:
        return len(self._active)

    def check_room(self, tenant: str | None = None) -> None:
        on_line = [active.line.tenant for active in self._active.values() if not active.line.broken]
        if len(on_line) >= self._max_calls:
            raise CapacityError(f"{self._max_calls} calls are in progress, which is all", retry_after=RETRY_AFTER_S)
        most = self._tenant_max_calls
        if most is not None and tenant is not None and on_line.count(tenant) >= most:
            raise CapacityError(
                f"{most} calls are in progress, which is all of one tenant's", retry_after=RETRY_AFTER_S
            )

    async def take(self, started: StreamStarted, items: AsyncIterator[StreamItem], *, tenant: str) -> None:
        active = self._resume(started, items, tenant)
        if active is None:
            self.check_room(tenant)
            active = self._begin(self._open(started, tenant), items)
        call = active.call
        try:
            await asyncio.wait({active.listening, active.telling}, return_when=asyncio.FIRST_COMPLETED)
            await _stopped(active.listening)
            await _first(call.ended, active.telling)
        finally:
            self._active.pop(call.key, None)
            CALLS_ACTIVE.set(len(self._active))
            await _stopped(active.listening)

    def play(self, key: CallKey, samples: Samples) -> None:
        active = self._active.get(key)
        if active is not None:
            active.call.play(samples)

    def own(self) -> set[CallKey]:
        """The calls that this process has begun and not yet settled."""
        return set(self._telling.values())

    def reserve(self, key: CallKey) -> None:
        """An earlier process has left this call: no other of its tenant may have its id until it is released."""
        self._reserved.add(key)

    def release(self, key: CallKey) -> None:
        self._reserved.discard(key)

    async def finish(
        self,
        key: CallKey,
        started: StreamStarted,
        items: AsyncIterator[StreamItem],
        *,
        sink: EventSink,
        told: Mapping[Leg, Told],
    ) -> None:
        """Tell the rest of a call that an earlier process has left, from its first item on; `told` is not told again.

        `sink` has the call open. It takes nobody's room: partials and turns, which nobody waits for, are left out.
        """
        options = replace(self._options(started, key.tenant), partials=False, turns=None, told=told, live=False)
        call = Call(key, started, engine=self._engine, sink=sink, clock=self._clock, options=options)
        with structlog.contextvars.bound_contextvars(call_id=key.call_id):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(call.listen(items))
                tasks.create_task(call.tell())
        CALLS_ENDED.labels(started.carrier, call.reason).inc()

    async def close(self) -> None:
        """Wait for the ends and the settled texts of calls that are over. Cancelled, it leaves them to their tapes."""
        try:
            if self._telling:
                await asyncio.wait(self._telling)
        finally:
            for telling in self._telling:
                telling.cancel()
            await asyncio.gather(*self._telling, return_exceptions=True)

    def _resume(self, started: StreamStarted, items: AsyncIterator[StreamItem], tenant: str) -> _Active | None:
        """The call whose broken line this stream mends, if there is one."""
        for active in self._active.values():
            if active.line.broken and active.line.is_of(started, tenant):
                active.line.mend(started, items)
                return active
        return None

    def _begin(self, call: Call, items: AsyncIterator[StreamItem]) -> _Active:
        tape = self._tape(call)
        line = Line(call.started, items, tenant=call.key.tenant, clock=self._clock, grace_s=self._resume_grace_s)
        with structlog.contextvars.bound_contextvars(call_id=call.key.call_id):
            telling = asyncio.create_task(self._tell(call, tape), name=f"call {call.key.call_id}")
            heard = _taped(line.items(), tape)
            listening = asyncio.create_task(call.listen(heard), name=f"carrier of {call.key.call_id}")
        self._telling[telling] = call.key
        telling.add_done_callback(self._telling.pop)
        active = _Active(call=call, line=line, telling=telling, listening=listening)
        self._active[call.key] = active
        CALLS_STARTED.labels(call.started.carrier).inc()
        CALLS_ACTIVE.set(len(self._active))
        return active

    def _tape(self, call: Call) -> Tape | None:
        if self._spool is None:
            return None
        tenant, call_id = call.key
        header = Header(call_id=call_id, tenant=tenant, started_at=self._clock.now())
        return self._spool.open(header, call.started, stopped=call.unspool)

    def _open(self, started: StreamStarted, tenant: str) -> Call:
        wanted = started.parameters.get("call_id", "")
        key = CallKey(tenant, wanted if CALL_ID.fullmatch(wanted) else f"call_{secrets.token_hex(12)}")
        if key in self._active or key in self._reserved:
            raise ConflictError(f"call {key.call_id} is in progress")
        call = Call(
            key,
            started,
            engine=self._engine,
            sink=self._sink,
            clock=self._clock,
            options=self._options(started, key.tenant),
        )
        self._sink.open(key)
        return call

    def _options(self, started: StreamStarted, tenant: str) -> CallOptions:
        language = started.parameters.get("language", "").strip().lower().split("-")[0]
        keywords = [word.strip() for word in started.parameters.get("keywords", "").split(",")]
        turns = turn_options(started.parameters)
        return CallOptions(
            language=language if language in self._languages else self._language,
            keywords=tuple(word for word in keywords if word)[:MOST_KEYWORDS],
            speech=_speech(started.parameters, self._speech, turns),
            turns=turns,
            partials=started.parameters.get("partials", "") != "off",
            segment_ms=_whole_ms(within(started.parameters.get("segment_ms"), *SEGMENT_MS)),
            voices=self._voices if _switched(started.parameters.get("diarize"), self._diarize) else None,
            known=nobody_known if self._known is None else partial(self._known, tenant),
        )

    async def _tell(self, call: Call, tape: Tape | None) -> None:
        """The tape stays whenever there is more to tell than was."""
        try:
            await call.tell()
            if tape is not None:
                tape.finish()
        except Exception as error:
            if call.ended.is_set() and _is_gone(error):
                log.info("the call was deleted before its text was settled")
                if tape is not None:
                    tape.discard()
                return
            log.exception("call could not be told")
            if tape is not None and isinstance(error, ConflictError):
                tape.discard()
            raise
        finally:
            CALLS_ENDED.labels(call.started.carrier, call.reason).inc()
            call.ended.set()


def _whole_ms(ms: float | None) -> int | None:
    return None if ms is None else round(ms)


def _is_gone(error: BaseException) -> bool:
    """Whether the store knows the call no more, and nothing else is wrong."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_gone, error.exceptions))
    return isinstance(error, NotFoundError)


def _speech(parameters: Mapping[str, str], usual: SegmenterOptions, turns: TurnOptions | None) -> SegmenterOptions:
    """`endpointing_ms`, the silence that ends speech, and `vad_threshold`, how sure of it one must be."""
    if turns is not None and turns.early:
        usual = replace(usual, pause_ms=min(usual.pause_ms, EARLY_PAUSE_MS))
    hangover_ms = within(parameters.get("endpointing_ms"), SHORTEST_ENDPOINTING_MS, LONGEST_ENDPOINTING_MS)
    threshold = within(parameters.get("vad_threshold"), LOWEST_THRESHOLD, HIGHEST_THRESHOLD)
    if hangover_ms is not None:
        pause_ms = min(usual.pause_ms, round(hangover_ms / 2))
        usual = replace(usual, hangover_ms=round(hangover_ms), pause_ms=pause_ms)
    if threshold is not None:
        stop = threshold * usual.stop_probability / usual.start_probability
        usual = replace(usual, start_probability=threshold, stop_probability=stop)
    return usual


def _switched(given: str | None, usual: bool) -> bool:
    """The usual for what is neither on nor off."""
    return {**dict.fromkeys(ON, True), **dict.fromkeys(OFF, False)}.get((given or "").strip().lower(), usual)


async def _taped(items: AsyncIterator[StreamItem], tape: Tape | None) -> AsyncIterator[StreamItem]:
    """`items`, each on its way to the disk before it is heard."""
    async for item in items:
        if tape is not None:
            tape.write(item)
        yield item


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
