"""What puts speech into words, and what tells voices apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from bridge.model.frame import Samples
from bridge.model.likeness import Likeness, Vector


class Urgency(IntEnum):
    """What a decode is for; smaller goes first. Finals are never shed."""

    FINAL = 0
    SPECULATIVE = 1
    PARTIAL = 2
    SETTLE = 3
    RECORDING = 4
    """Of a file, for which nobody is on the phone. Never shed; it takes what is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeJob:
    """Speech to be put into words.

    `samples` are 16 kHz. `prefix_text` is what the first `known` of them say: it is forced, and does not come back.
    `previous_text` was said before `samples` begin. `language` None asks for detection.
    """

    samples: Samples
    urgency: Urgency
    deadline: float
    """On the engine's monotonic clock."""
    language: str | None = None
    previous_text: str = ""
    prefix_text: str = ""
    known: int = 0
    keywords: tuple[str, ...] = ()
    want_words: bool = False
    """Each with its own time; otherwise they are spread evenly, which costs nothing."""
    brisk: bool = False
    """The engine is busy: a smaller window will do."""
    careful: bool = False
    """Nobody waits: the full window, and more than one hypothesis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedWord:
    """A word inside its job's samples: positions in samples, probability 0–1."""

    text: str
    start: int
    end: int
    probability: float
    space: bool = True
    """Whether a space stands before it; languages that write none between words have none here."""

    @property
    def spaced(self) -> str:
        """The word with its space."""
        return f" {self.text}" if self.space else self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """What a decode found behind the forced prefix. Empty text: nothing was said."""

    text: str
    language: str
    language_probability: float
    average_log_probability: float
    no_speech_probability: float
    words: tuple[DecodedWord, ...] = ()
    retried: bool = False

    @classmethod
    def nothing(cls, language: str) -> Decoded:
        """What silence says."""
        return cls(
            text="",
            language=language,
            language_probability=0.0,
            average_log_probability=0.0,
            no_speech_probability=1.0,
        )


class Engine(Protocol):
    """Speech in, words out, for every call of the process."""

    async def decode(self, job: DecodeJob) -> Decoded | None:
        """None when a partial, a speculation or a settling was shed. Cancel the task to take a job back.

        Raises EngineError when the decode failed twice.
        """
        ...

    def pressure(self) -> float:
        """0 idle … 1 full: how much of what the engine can do is wanted now."""
        ...


class VoiceEncoder(Protocol):
    """A voice as a direction: what tells speakers apart, for every call of the process."""

    @property
    def likeness(self) -> Likeness:
        """What its directions mean."""
        ...

    async def embed(self, samples: Samples) -> Vector:
        """The voice in 16 kHz speech, a window of `likeness` long or shorter. Raises EngineError, SetupError."""
        ...

    async def overlaps(self, samples: Samples) -> Sequence[tuple[int, int]]:
        """Where two speak at once in up to ten seconds of 16 kHz speech: from where to before where, in samples.

        Nowhere, for who cannot tell. Raises EngineError.
        """
        ...
