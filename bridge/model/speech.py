"""Stretches of speech on one leg, as they are found. Positions are samples at 16 kHz since the leg's first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from bridge.model.frame import Samples


@dataclass(frozen=True, slots=True)
class SpeechBegan:
    """Somebody speaks. `position` is the pre-roll's first sample, `voice` where the voice itself was first found."""

    position: int
    voice: int


@dataclass(frozen=True, slots=True)
class SpeechAudio:
    """What is heard while somebody speaks, without holes from `SpeechBegan.position` on."""

    position: int
    samples: Samples


@dataclass(frozen=True, slots=True)
class SpeechPaused:
    """A silence has begun that may be the end; `position` is where the voice stopped."""

    position: int


@dataclass(frozen=True, slots=True)
class SpeechWentOn:
    """It was not the end."""

    position: int


@dataclass(frozen=True, slots=True)
class SpeechOver:
    """The silence has lasted for the hang-over; `position` is where the voice stopped."""

    position: int


Speech: TypeAlias = SpeechBegan | SpeechAudio | SpeechPaused | SpeechWentOn | SpeechOver
