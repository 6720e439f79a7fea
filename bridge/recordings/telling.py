"""A recording's events, told as those of a call that had been heard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bridge.metrics import CALLS_ENDED, CALLS_STARTED
from bridge.model.events import (
    Body,
    CallEnded,
    CallStarted,
    MediaGap,
    SpeakerUpdated,
    TranscriptFinal,
    TranscriptRevised,
)
from bridge.model.frame import to_ms
from bridge.model.recordings import CARRIER, Order
from bridge.model.records import CallRecord
from bridge.model.stream import Leg
from bridge.model.words import Segment
from bridge.ports import EventSink
from bridge.recognise.heard import Revision, Undecoded
from bridge.recordings.file import Recording
from bridge.recordings.speakers import Correction

UNKNOWN: Final = CallStarted(carrier=CARRIER, carrier_call_id="", legs=(Leg.MIXED,), codec="unknown", sample_rate=0)
"""The start of a call whose recording could not be fetched or read."""


class Telling:
    """One recording's events, from wherever an earlier process has stopped."""

    def __init__(self, order: Order, sink: EventSink) -> None:
        self._order = order
        self._sink = sink
        self._open = False
        self._started = False
        self._ended = False
        self._heard_ms = 0

    def go_on(self, record: CallRecord) -> None:
        """The call is known."""
        self._sink.open(record.key, last_seq=record.last_seq)
        self._open = self._started = True
        self._ended = record.ended_at is not None

    async def start(self, recording: Recording) -> None:
        await self._start(legs=recording.legs, codec=recording.codec, sample_rate=recording.sample_rate)

    async def tell(self, segments: Sequence[Segment], undecoded: Sequence[Undecoded]) -> None:
        for segment in segments:
            self._heard_ms = max(self._heard_ms, segment.end_ms)
            await self._publish(TranscriptFinal.of(segment))
        for lost in undecoded:
            at_ms, missing_ms = to_ms(lost.position), to_ms(lost.samples)
            await self._publish(MediaGap(leg=lost.leg, at_ms=at_ms, missing_ms=missing_ms, reason="undecoded"))

    async def correct(self, corrections: Sequence[Correction]) -> None:
        for one in corrections:
            if isinstance(one, Revision):
                await self._publish(TranscriptRevised(leg=one.leg, replaces=one.replaces, segments=one.segments))
            else:
                await self._publish(SpeakerUpdated(leg=one.leg, segment=one.segment, speaker=one.speaker))

    async def end(self, ending: CallEnded) -> None:
        self._ended = True
        await self._publish(ending)
        CALLS_ENDED.labels(CARRIER, ending.reason).inc()

    async def fail(self, code: str) -> None:
        """It ends here. Raises ConflictError when there is no such call to be ended."""
        if self._ended:
            return
        await self._start(legs=UNKNOWN.legs, codec=UNKNOWN.codec, sample_rate=UNKNOWN.sample_rate)
        await self.end(CallEnded(reason="error", duration_ms=self._heard_ms, error=code))

    async def settled(self) -> None:
        """No text is revised: the finals had all the context there is."""
        await self._sink.settled(self._order.key)

    async def _start(self, *, legs: tuple[Leg, ...], codec: str, sample_rate: int) -> None:
        if self._started:
            return
        order = self._order
        if not self._open:
            self._sink.open(order.key)
            self._open = True
        self._started = True
        await self._publish(
            CallStarted(
                carrier=CARRIER,
                carrier_call_id=order.name,
                legs=legs,
                codec=codec,
                sample_rate=sample_rate,
                metadata=order.metadata,
            )
        )
        CALLS_STARTED.labels(CARRIER).inc()

    async def _publish(self, body: Body) -> None:
        await self._sink.publish(self._order.key, body)
