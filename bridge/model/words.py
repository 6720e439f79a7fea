"""Words: text with times, tentative or final."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from bridge.model.stream import Leg

SENTENCE_ENDS: Final = (".", "?", "!", "…", "。", "？", "！")
"""What is cut is cut behind one of these, where there is a choice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One word. Times in ms since the leg's first sample; confidence 0–1."""

    word: str
    start_ms: int
    end_ms: int
    confidence: float
    overlap: str | None = None
    """Who speaks at the same time; None where nobody is known to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One stretch of one leg's speech, in words that stand. `segment` numbers them per leg, from 1."""

    leg: Leg
    segment: int
    start_ms: int
    end_ms: int
    text: str
    language: str
    confidence: float
    words: tuple[Word, ...] = ()
    speaker: str | None = None
    """None until diarization has an opinion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial:
    """What a person seems to have said so far. `stable_text` is a prefix of `text` that later partials keep."""

    leg: Leg
    segment: int
    start_ms: int
    end_ms: int
    text: str
    stable_text: str


def as_fields(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The `dict_factory` of the JSON form: an `overlap` with nobody is left out."""
    return {name: value for name, value in pairs if value is not None or name != "overlap"}


def word_places(segment: Segment) -> list[int] | None:
    """Where each word begins in the text; None when the words are not its words. No space is taken for granted."""
    places = []
    behind = 0
    for word in segment.words:
        wanted = word.word.strip()
        place = segment.text.find(wanted, behind) if wanted else -1
        if place < 0:
            return None
        places.append(place)
        behind = place + len(wanted)
    return places or None
