"""What a hearing tells of one leg. Positions are samples at 16 kHz since the leg's first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from bridge.model.events import TurnEvent
from bridge.model.frame import Gap
from bridge.model.stream import Leg
from bridge.model.words import Partial, Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceStarted:
    """Somebody has begun to speak."""

    leg: Leg
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceEnded:
    """They have stopped; the words follow."""

    leg: Leg
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """Settled text for earlier finals."""

    leg: Leg
    replaces: tuple[int, ...]
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerChanged:
    """A later, better answer for whoever said an earlier final."""

    leg: Leg
    segment: int
    speaker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPressed:
    """A key of the phone, where the leg's audio stood."""

    leg: Leg
    position: int
    digit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecoded:
    """Speech that was heard and could not be put into words."""

    leg: Leg
    position: int
    samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Supposed:
    """What an utterance says, should the pause at `position` be its end. Nobody outside is told."""

    leg: Leg
    position: int
    text: str
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Concluded:
    """What was said before `position` has been told, as far as there were words. Nobody outside is told."""

    leg: Leg
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Thinned:
    """Partials have stopped for lack of room. Finals go on."""

    leg: Leg


@dataclass(frozen=True, slots=True, kw_only=True)
class Unspooled:
    """The disk keeps no more of this call. It goes on; a crash would lose what follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flushed:
    """What was said before `position` has been told, as the sender asked."""

    leg: Leg
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AllHeard:
    """The leg is over and its last final has been told; only revisions follow."""

    leg: Leg


Heard: TypeAlias = (
    Gap
    | KeyPressed
    | VoiceStarted
    | VoiceEnded
    | Partial
    | Segment
    | Revision
    | SpeakerChanged
    | Supposed
    | Concluded
    | TurnEvent
    | Undecoded
    | Thinned
    | Unspooled
    | Flushed
    | AllHeard
)
