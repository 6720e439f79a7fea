"""What a batch of events means for the tables, worked out before anything is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bridge.errors import ConflictError, NotFoundError
from bridge.model.call_key import CallKey
from bridge.model.events import (
    CallEnded,
    CallStarted,
    Event,
    SpeakerUpdated,
    TranscriptFinal,
    TranscriptRevised,
)
from bridge.model.records import CallRecord, CallStatus, Delivery, DeliveryStatus
from bridge.model.stream import Leg
from bridge.model.words import Segment
from bridge.ports import SETTLE_LIMIT_S
from bridge.store.payloads import delivery_id, ended_payload, ended_type, event_payload

SegmentKey = tuple[CallKey, Leg, int]
"""Whose, leg, number of the segment."""

ALL: Final = "*"


@dataclass(slots=True)
class Changes:
    """One transaction's worth of news, folded: each row is touched once, however often the batch spoke of it."""

    calls: dict[CallKey, CallRecord]
    """As it was, then as it will be."""
    node: str | None = None
    """Who has the calls that begin."""
    started: list[CallKey] = field(default_factory=list)
    ended: dict[CallKey, Event] = field(default_factory=dict)
    """The `call.ended`."""
    kept: dict[SegmentKey, Segment] = field(default_factory=dict)
    gone: set[SegmentKey] = field(default_factory=set)
    speakers: dict[SegmentKey, str] = field(default_factory=dict)
    """New names for segments that are in the database and stay there."""

    def add(self, event: Event) -> None:
        """Raises NotFoundError for an event of no call, ConflictError for one out of order."""
        body = event.body
        if isinstance(body, CallStarted):
            self._start(event, body)
        call = self._next(event)
        match body:
            case CallEnded():
                call = _ended(call, event, body)
                self.ended[call.key] = event
            case TranscriptFinal():
                self._keep(call.key, body.as_segment())
            case TranscriptRevised():
                for replaced in body.replaces:
                    self._drop((call.key, body.leg, replaced))
                for segment in body.segments:
                    self._keep(call.key, segment)
            case SpeakerUpdated():
                self._name((call.key, body.leg, body.segment), body.speaker)
            case _:
                pass
        self.calls[call.key] = call

    def rewritten(self) -> set[CallKey]:
        """Calls whose words are other than before."""
        return {key for key, _leg, _segment in (*self.kept, *self.gone)}

    def _start(self, event: Event, body: CallStarted) -> None:
        if event.key in self.calls:
            raise ConflictError(f"call {event.call_id} exists already")
        self.started.append(event.key)
        self.calls[event.key] = CallRecord(
            call_id=event.call_id,
            tenant=event.tenant,
            carrier=body.carrier,
            carrier_call_id=body.carrier_call_id,
            legs=body.legs,
            codec=body.codec,
            sample_rate=body.sample_rate,
            metadata=dict(body.metadata),
            status=CallStatus.IN_PROGRESS,
            started_at=event.time,
            node=self.node,
        )

    def _next(self, event: Event) -> CallRecord:
        call = self.calls.get(event.key)
        if call is None:
            raise NotFoundError(f"no call {event.call_id}")
        if event.seq != call.last_seq + 1:
            raise ConflictError(f"call {event.call_id}: event {event.seq} cannot follow {call.last_seq}")
        return dataclasses.replace(call, last_seq=event.seq)

    def _keep(self, call: CallKey, segment: Segment) -> None:
        key = (call, segment.leg, segment.segment)
        self.kept[key] = segment  # even where it is in `gone`: what goes is deleted first
        self.speakers.pop(key, None)

    def _drop(self, key: SegmentKey) -> None:
        self.kept.pop(key, None)
        self.gone.add(key)
        self.speakers.pop(key, None)

    def _name(self, key: SegmentKey, speaker: str) -> None:
        if key in self.kept:
            self.kept[key] = dataclasses.replace(self.kept[key], speaker=speaker)
        elif key not in self.gone:
            self.speakers[key] = speaker


def _ended(call: CallRecord, event: Event, body: CallEnded) -> CallRecord:
    if call.status is not CallStatus.IN_PROGRESS:
        raise ConflictError(f"call {call.call_id} has ended already")
    return dataclasses.replace(
        call,
        status=CallStatus.COMPLETED if body.error is None else CallStatus.FAILED,
        ended_at=event.time,
        reason=body.reason,
        error=body.error,
        duration_ms=body.duration_ms,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """An enabled endpoint and the event types it asked for."""

    endpoint_id: str
    tenant: str
    events: Collection[str]
    call_id: str | None = None
    """The one call that is asked about; None: any."""
    url: str | None = None
    """Where the answer goes; None: to the endpoint's address."""

    def is_about(self, event: Event) -> bool:
        return self.tenant == event.tenant and self.call_id in {None, event.call_id}

    def wants(self, kind: str) -> bool:
        return kind in self.events or ALL in self.events


def deliveries_of(
    events: Iterable[Event],
    calls: Mapping[CallKey, CallRecord],
    transcripts: Mapping[CallKey, Sequence[Segment]],
    wishes: Sequence[Wish],
) -> list[Delivery]:
    """What has to be told to whom. `transcripts` holds those of calls that end in `events`."""
    found: list[Delivery] = []
    for event in events:
        call = calls[event.key]
        asked = [wish for wish in wishes if wish.is_about(event)]
        payload = None
        for wish in asked:
            if wish.wants(event.type):
                payload = payload or event_payload(event, call)
                found.append(_delivery(wish, event, event.type, payload))
        if isinstance(event.body, CallEnded):
            kind = ended_type(call)
            found += [
                _delivery(wish, event, kind, ended_payload(call, transcripts[call.key]), held=True)
                for wish in asked
                if wish.wants(kind)
            ]
    return found


def _delivery(wish: Wish, event: Event, kind: str, payload: Mapping[str, Any], *, held: bool = False) -> Delivery:
    return Delivery(
        id=delivery_id(wish.endpoint_id, event.id, kind),
        tenant=event.tenant,
        endpoint_id=wish.endpoint_id,
        call_id=event.call_id,
        type=kind,
        payload=payload,
        status=DeliveryStatus.HELD if held else DeliveryStatus.PENDING,
        created_at=event.time,
        due_at=event.time + SETTLE_LIMIT_S if held else event.time,
        url=wish.url,
    )
