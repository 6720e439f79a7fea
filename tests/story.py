"""Events of a made-up call, numbered and stamped as the journal would."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.model.call_key import CallKey
from bridge.model.events import (
    Body,
    CallEnded,
    CallStarted,
    Event,
    SpeakerUpdated,
    TranscriptFinal,
    TranscriptPartial,
    TranscriptRevised,
)
from bridge.model.stream import Leg
from bridge.model.words import Segment, Word

START = 1_800_000_000.0


def acmes(call_id: str) -> CallKey:
    """A call of the tenant `acme`."""
    return CallKey("acme", call_id)


class Story:
    """One call: `tell` turns bodies into its next events, one second apart."""

    def __init__(self, call_id: str = "call-1", tenant: str = "acme", *, at: float = START) -> None:
        self.call_id = call_id
        self.tenant = tenant
        self.at = at
        self.seq = 0

    @property
    def key(self) -> CallKey:
        return CallKey(self.tenant, self.call_id)

    def tell(self, *bodies: Body) -> list[Event]:
        return [self._event(body) for body in bodies]

    def _event(self, body: Body) -> Event:
        self.seq += 1
        return Event(
            id=f"evt_{self.tenant}_{self.call_id}_{self.seq}",
            seq=self.seq,
            call_id=self.call_id,
            tenant=self.tenant,
            time=self.at + self.seq - 1,
            body=body,
        )


def started(carrier_call_id: str = "CA1", **metadata: str) -> CallStarted:
    return CallStarted(
        carrier="twilio",
        carrier_call_id=carrier_call_id,
        legs=(Leg.CALLER, Leg.AGENT),
        codec="PCMU",
        sample_rate=8000,
        metadata=metadata,
    )


def segment(number: int, text: str, *, leg: Leg = Leg.CALLER, start_ms: int | None = None) -> Segment:
    begin = 1000 * number if start_ms is None else start_ms
    words = tuple(
        Word(word=word, start_ms=begin + 100 * i, end_ms=begin + 100 * (i + 1), confidence=0.75)
        for i, word in enumerate(text.split())
    )
    return Segment(
        leg=leg,
        segment=number,
        start_ms=begin,
        end_ms=begin + 100 * len(words),
        text=text,
        language="en",
        confidence=0.5,
        words=words,
    )


def final(number: int, text: str, *, leg: Leg = Leg.CALLER, start_ms: int | None = None) -> TranscriptFinal:
    return TranscriptFinal.of(segment(number, text, leg=leg, start_ms=start_ms))


def partial(number: int, text: str, *, leg: Leg = Leg.CALLER) -> TranscriptPartial:
    return TranscriptPartial(
        leg=leg, segment=number, start_ms=1000 * number, end_ms=1000 * number + 500, text=text, stable_text=""
    )


def revised(replaces: Sequence[int], *segments: Segment, leg: Leg = Leg.CALLER) -> TranscriptRevised:
    return TranscriptRevised(leg=leg, replaces=tuple(replaces), segments=segments)


def named(number: int, speaker: str, *, leg: Leg = Leg.CALLER) -> SpeakerUpdated:
    return SpeakerUpdated(leg=leg, segment=number, speaker=speaker)


def ended(reason: str = "hangup", error: str | None = None) -> CallEnded:
    return CallEnded(reason=reason, duration_ms=60_000, error=error)
