"""Events of made-up calls, short to write: who says what, tentatively or for good."""

from __future__ import annotations

from dataclasses import replace

from bridge.model.events import CallStarted, TranscriptFinal, TranscriptPartial
from bridge.model.stream import Leg
from bridge.model.words import Segment, Word

CALLER, AGENT, MIXED = Leg.CALLER, Leg.AGENT, Leg.MIXED
WORD_MS = 320


def started(
    caller: str | None = "+16125550142", carrier: str = "twilio", legs: tuple[Leg, ...] = (CALLER, AGENT)
) -> CallStarted:
    return CallStarted(
        carrier=carrier,
        carrier_call_id="CA0123456789",
        legs=legs,
        codec="PCMU",
        sample_rate=8000,
        metadata={"from": caller, "to": "+18005550100"} if caller else {},
    )


def partial(leg: Leg, segment: int, start_ms: int, stable: str, loose: str = "") -> TranscriptPartial:
    text = stable + loose
    return TranscriptPartial(
        leg=leg,
        segment=segment,
        start_ms=start_ms,
        end_ms=start_ms + WORD_MS * len(text.split()),
        text=text,
        stable_text=stable,
    )


def segment(leg: Leg, number: int, start_ms: int, text: str, speaker: str | None = None) -> Segment:
    words = tuple(
        Word(
            word=word,
            start_ms=start_ms + place * WORD_MS,
            end_ms=start_ms + place * WORD_MS + WORD_MS - 40,
            confidence=0.6 + len(word) % 5 / 10,
        )
        for place, word in enumerate(text.split())
    )
    return Segment(
        leg=leg,
        segment=number,
        start_ms=start_ms,
        end_ms=start_ms + WORD_MS * max(1, len(words)),
        text=text,
        language="en",
        confidence=0.9,
        words=words,
        speaker=speaker,
    )


def spoken_over(said: Segment, other: str, first: int, last: int) -> Segment:
    """`other` speaks during the words `first` to before `last`, too."""
    words = (replace(word, overlap=other) if first <= place < last else word for place, word in enumerate(said.words))
    return replace(said, words=tuple(words))


def final(leg: Leg, number: int, start_ms: int, text: str, speaker: str | None = None) -> TranscriptFinal:
    return TranscriptFinal.of(segment(leg, number, start_ms, text, speaker))
