"""What the outside world sees of a call (contract §5): one envelope, one body a type, one JSON form."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, Final, TypeAlias

from bridge.model.call_key import CallKey
from bridge.model.stream import Leg
from bridge.model.words import Partial, Segment, Word, as_fields


class Body:
    """What an event says besides its envelope. Fields are the JSON names; times are ms since the leg's first sample."""

    __slots__ = ()
    type: ClassVar[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStarted(Body):
    type: ClassVar[str] = "call.started"
    carrier: str
    carrier_call_id: str
    legs: tuple[Leg, ...]
    codec: str
    sample_rate: int
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechStarted(Body):
    type: ClassVar[str] = "speech.started"
    leg: Leg
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechEnded(Body):
    type: ClassVar[str] = "speech.ended"
    leg: Leg
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechFlushed(Body):
    """What was said until `at_ms` has been told: the sender asked for it to be put into words at once."""

    type: ClassVar[str] = "speech.flushed"
    leg: Leg
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptPartial(Body):
    type: ClassVar[str] = "transcript.partial"
    leg: Leg
    segment: int
    start_ms: int
    end_ms: int
    text: str
    stable_text: str

    @classmethod
    def of(cls, partial: Partial) -> TranscriptPartial:
        return cls(**{f.name: getattr(partial, f.name) for f in dataclasses.fields(cls)})


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptFinal(Body):
    """Words that will not change again, unless a `transcript.revised` says so."""

    type: ClassVar[str] = "transcript.final"
    leg: Leg
    segment: int
    speaker: str | None
    start_ms: int
    end_ms: int
    text: str
    language: str
    confidence: float
    words: tuple[Word, ...]

    @classmethod
    def of(cls, segment: Segment) -> TranscriptFinal:
        return cls(**{f.name: getattr(segment, f.name) for f in dataclasses.fields(cls)})

    def as_segment(self) -> Segment:
        return Segment(**{f.name: getattr(self, f.name) for f in dataclasses.fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptRevised(Body):
    """The settled text of earlier finals: `segments` take the place of the segments numbered in `replaces`."""

    type: ClassVar[str] = "transcript.revised"
    leg: Leg
    replaces: tuple[int, ...]
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnStarted(Body):
    """Somebody has taken the floor. `probability`, here as in all events of turns: that the turn is over."""

    type: ClassVar[str] = "turn.started"
    leg: Leg
    turn: int
    at_ms: int
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnEagerEnded(Body):
    """It may be over: sure enough to begin an answer. `turn.resumed` takes it back, `turn.ended` makes it stand."""

    type: ClassVar[str] = "turn.eager_ended"
    leg: Leg
    turn: int
    at_ms: int
    probability: float
    text: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnResumed(Body):
    type: ClassVar[str] = "turn.resumed"
    leg: Leg
    turn: int
    at_ms: int
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnEnded(Body):
    """It is over: all its words, and what spoke most for the end."""

    type: ClassVar[str] = "turn.ended"
    leg: Leg
    turn: int
    at_ms: int
    probability: float
    text: str
    reason: str


TurnEvent: TypeAlias = TurnStarted | TurnEagerEnded | TurnResumed | TurnEnded


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerUpdated(Body):
    type: ClassVar[str] = "speaker.updated"
    leg: Leg
    segment: int
    speaker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DtmfReceived(Body):
    type: ClassVar[str] = "dtmf.received"
    leg: Leg
    digit: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaGap(Body):
    """Audio that is missing, or that was heard and could not be decoded; `reason` says which."""

    type: ClassVar[str] = "media.gap"
    leg: Leg
    at_ms: int
    missing_ms: int
    reason: str = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallDegraded(Body):
    type: ClassVar[str] = "call.degraded"
    reason: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded(Body):
    """The one terminal event of a call. `error` is a stable code, set when `reason` is `error`."""

    type: ClassVar[str] = "call.ended"
    reason: str
    duration_ms: int
    error: str | None = None


BODIES: Final[dict[str, type[Body]]] = {
    kind.type: kind
    for kind in (
        CallStarted,
        SpeechStarted,
        SpeechEnded,
        SpeechFlushed,
        TranscriptPartial,
        TranscriptFinal,
        TranscriptRevised,
        TurnStarted,
        TurnEagerEnded,
        TurnResumed,
        TurnEnded,
        SpeakerUpdated,
        DtmfReceived,
        MediaGap,
        CallDegraded,
        CallEnded,
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened in a call. `seq` counts from 1 without gaps: where a subscriber resumes."""

    id: str
    seq: int
    call_id: str
    tenant: str
    time: float
    """Unix seconds, UTC."""
    body: Body
    _written: dict[Callable[[Event], bytes], bytes] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def type(self) -> str:
        return self.body.type

    @property
    def key(self) -> CallKey:
        return CallKey(self.tenant, self.call_id)

    def to_dict(self) -> dict[str, Any]:
        """The public JSON object; the tenant is not part of it."""
        return {
            "id": self.id,
            "seq": self.seq,
            "type": self.type,
            "call_id": self.call_id,
            "time": rfc3339(self.time),
            **body_to_dict(self.body),
        }

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), ensure_ascii=False, separators=(",", ":"))

    def written(self, form: Callable[[Event], bytes]) -> bytes:
        """What `form` makes of this event: made once, however many are sent it."""
        made = self._written.get(form)
        if made is None:
            made = self._written[form] = form(self)
        return made


def body_to_dict(body: Body) -> dict[str, Any]:
    """A body's fields as plain JSON values; a `None` that only some have (`error`, `overlap`) is left out."""
    found: dict[str, Any] = dataclasses.asdict(body, dict_factory=as_fields)  # type: ignore[call-overload]  # every Body is a dataclass
    if isinstance(body, CallEnded) and body.error is None:
        del found["error"]
    return found


def body_from_dict(kind: str, fields: Mapping[str, Any]) -> Body:
    """The body that `body_to_dict` wrote. Raises KeyError for an unknown type; unknown fields are ignored."""
    cls = BODIES[kind]
    names = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]  # every Body is a dataclass
    kept = {name: value for name, value in fields.items() if name in names}
    if "leg" in kept:
        kept["leg"] = Leg(kept["leg"])
    if "legs" in kept:
        kept["legs"] = tuple(Leg(leg) for leg in kept["legs"])
    if "words" in kept:
        kept["words"] = tuple(Word(**word) for word in kept["words"])
    if "segments" in kept:
        kept["segments"] = tuple(segment_from_dict(segment) for segment in kept["segments"])
    if "replaces" in kept:
        kept["replaces"] = tuple(kept["replaces"])
    return cls(**kept)


def segment_from_dict(fields: Mapping[str, Any]) -> Segment:
    """The segment that `dataclasses.asdict` wrote with `as_fields`."""
    return Segment(
        **{
            **fields,
            "leg": Leg(fields["leg"]),
            "words": tuple(Word(**word) for word in fields["words"]),
        }
    )


def rfc3339(unix: float) -> str:
    """Unix seconds as RFC 3339 UTC with milliseconds: `2026-11-21T08:42:36.123Z`."""
    return datetime.fromtimestamp(unix, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
