"""What a call hears, as the events that the world is told."""

from __future__ import annotations

from bridge.model.events import (
    Body,
    CallDegraded,
    DtmfReceived,
    MediaGap,
    SpeakerUpdated,
    SpeechEnded,
    SpeechFlushed,
    SpeechStarted,
    TranscriptFinal,
    TranscriptPartial,
    TranscriptRevised,
    TurnEagerEnded,
    TurnEnded,
    TurnResumed,
    TurnStarted,
)
from bridge.model.frame import Gap, to_ms
from bridge.model.words import Partial, Segment
from bridge.recognise.heard import (
    Flushed,
    Heard,
    KeyPressed,
    Revision,
    SpeakerChanged,
    Thinned,
    Undecoded,
    Unspooled,
    VoiceEnded,
    VoiceStarted,
)


def as_event(heard: Heard) -> Body:  # noqa: C901, PLR0911, PLR0912  # a table, as a match
    """Raises TypeError for what is only for inside."""
    match heard:
        case VoiceStarted(leg=leg, position=at):
            return SpeechStarted(leg=leg, at_ms=to_ms(at))
        case VoiceEnded(leg=leg, position=at):
            return SpeechEnded(leg=leg, at_ms=to_ms(at))
        case Partial():
            return TranscriptPartial.of(heard)
        case Segment():
            return TranscriptFinal.of(heard)
        case Revision(leg=leg, replaces=replaces, segments=segments):
            return TranscriptRevised(leg=leg, replaces=replaces, segments=segments)
        case SpeakerChanged(leg=leg, segment=segment, speaker=speaker):
            return SpeakerUpdated(leg=leg, segment=segment, speaker=speaker)
        case KeyPressed(leg=leg, position=at, digit=digit):
            return DtmfReceived(leg=leg, digit=digit, at_ms=to_ms(at))
        case Undecoded(leg=leg, position=at, samples=samples):
            return MediaGap(leg=leg, at_ms=to_ms(at), missing_ms=to_ms(samples), reason="undecoded")
        case Gap(leg=leg, position=at, samples=samples, reason=reason):
            return MediaGap(leg=leg, at_ms=to_ms(at), missing_ms=to_ms(samples), reason=reason)
        case Thinned():
            return CallDegraded(reason="load", what="partials")
        case Flushed(leg=leg, position=at):
            return SpeechFlushed(leg=leg, at_ms=to_ms(at))
        case Unspooled():
            return CallDegraded(reason="spool", what="recovery")
        case TurnStarted() | TurnEagerEnded() | TurnResumed() | TurnEnded():
            return heard
    raise TypeError(f"{type(heard).__name__} is not told")
