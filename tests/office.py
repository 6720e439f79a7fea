"""The calls of one process in a test: phones in its hand, a sink that keeps what it is told, a scripted engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Final, TypeVar

import numpy as np

from bridge.calls import Calls
from bridge.errors import ConflictError, NotFoundError
from bridge.model.call_key import CallKey
from bridge.model.events import Body
from bridge.model.frame import SAMPLE_RATE, Samples
from bridge.model.stream import Encoding, Leg, MediaChunk, MediaFormat, StreamItem, StreamStarted
from bridge.ports import VoiceEncoder
from tests.clock import VirtualClock
from tests.engines import ScriptedEngine, spoken

B = TypeVar("B", bound=Body)

CHUNK: Final = SAMPLE_RATE // 50
"""Samples in 20 ms."""


class RecordingSink:
    """Every call's events in order. `failing` is raised for every event while it is set."""

    def __init__(self) -> None:
        self.told: dict[str, list[Body]] = {}
        self.tenants: dict[str, str] = {}
        self.finished: list[str] = []
        self.failing: Exception | None = None
        self._open: set[CallKey] = set()

    def open(self, key: CallKey, *, last_seq: int = 0) -> None:
        if key in self._open:
            raise ConflictError(f"{key} is open")
        self._open.add(key)
        self.told[key.call_id] = []
        self.tenants[key.call_id] = key.tenant

    async def publish(self, key: CallKey, body: Body) -> None:
        if key not in self._open:
            raise NotFoundError(key.call_id)
        if self.failing is not None:
            raise self.failing
        self.told[key.call_id].append(body)
        await asyncio.sleep(0)

    async def settled(self, key: CallKey) -> None:
        self._open.discard(key)
        self.finished.append(key.call_id)

    def kinds(self, call_id: str) -> list[str]:
        """The types of a call's events."""
        return [body.type for body in self.told[call_id]]

    def of(self, call_id: str, kind: type[B]) -> list[B]:
        """A call's events of one type."""
        return [body for body in self.told[call_id] if isinstance(body, kind)]


def started(*legs: Leg, **parameters: str) -> StreamStarted:
    """A stream of 16 kHz samples as they are, so that no resampler blurs what a test hears."""
    return StreamStarted(
        carrier="twilio",
        carrier_call_id="CA1",
        stream_id="MZ1",
        legs=legs or (Leg.CALLER, Leg.AGENT),
        media_format=MediaFormat(encoding=Encoding.L16_LE, sample_rate=SAMPLE_RATE),
        parameters={name.replace("__", "."): value for name, value in parameters.items()},
    )


class Phone:
    """What a carrier sends, as a test says; `hang_up` or `fail` ends it."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._queue: asyncio.Queue[StreamItem | Exception | None] = asyncio.Queue()
        self._numbers: dict[Leg, int] = {}

    async def items(self) -> AsyncIterator[StreamItem]:
        while (item := await self._queue.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item

    def send(self, item: StreamItem) -> None:
        self._queue.put_nowait(item)

    def lose(self, leg: Leg, chunks: int = 1) -> None:
        """The next chunks of a leg never come."""
        self._numbers[leg] = self._numbers.get(leg, 0) + chunks

    async def play(self, legs: Mapping[Leg, Samples]) -> None:
        """Legs side by side, 20 ms at a time, in real time; the shorter ones are filled with silence."""
        longest = max(len(samples) for samples in legs.values())
        for at in range(0, longest, CHUNK):
            for leg, samples in legs.items():
                self._send_chunk(leg, samples[at : at + CHUNK])
            await self._clock.advance(CHUNK / SAMPLE_RATE)

    def _send_chunk(self, leg: Leg, samples: Samples) -> None:
        chunk = np.zeros(CHUNK, np.float32)
        chunk[: len(samples)] = samples
        number = self._numbers.get(leg, 0)
        self._numbers[leg] = number + 1
        self.send(
            MediaChunk(
                leg=leg,
                payload=np.round(chunk * 32767).astype("<i2").tobytes(),
                sequence=number,
                timestamp_ms=number * 20.0,
            )
        )

    async def hang_up(self) -> None:
        self._queue.put_nowait(None)
        await self._clock.settle()

    async def fail(self, error: Exception) -> None:
        """The carrier's messages end in a fault."""
        self._queue.put_nowait(error)
        await self._clock.settle()


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * 16_000), np.float32)


def after(seconds: float, *numbers: int, then: float = 1.0) -> Samples:
    """Words behind some silence, and silence behind them."""
    return np.concatenate([silence(seconds), spoken(*numbers), silence(then)])


class Office:
    """The calls of one process, their engine and their sink."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.engine = ScriptedEngine(clock)
        self.sink = RecordingSink()
        self.calls = self.of(max_calls=3)
        self.takes: list[asyncio.Task[None]] = []

    def of(
        self,
        *,
        max_calls: int,
        tenant_max_calls: int | None = None,
        language: str | None = "en",
        hangover_ms: int = 500,
        voices: VoiceEncoder | None = None,
    ) -> Calls:
        return Calls(
            engine=self.engine,
            sink=self.sink,
            clock=self.clock,
            max_calls=max_calls,
            tenant_max_calls=tenant_max_calls,
            language=language,
            languages=frozenset({"en", "de"}),
            hangover_ms=hangover_ms,
            voices=voices,
        )

    async def ring(self, stream: StreamStarted | None = None) -> Phone:
        phone = Phone(self.clock)
        stream = stream or started(call_id="c1")
        take = asyncio.create_task(self.calls.take(stream, phone.items(), tenant="acme"))
        self.takes.append(take)
        await self.clock.settle()
        return phone

    async def close(self) -> None:
        """Every call must have come to its end."""
        closing = asyncio.create_task(self.calls.close())
        await self.clock.advance(60.0)
        assert closing.done(), "a call is still being told"
        assert all(take.done() for take in self.takes)
        assert self.calls.active() == 0
