"""Words, alternatives and models in Deepgram's form: times in seconds."""

from __future__ import annotations

import unicodedata
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from multidict import MultiMapping

from bridge import __version__
from bridge.compat.asking import flag, listed
from bridge.model.words import Segment, Word

MODELS: Final = uuid.UUID("6f5b2a9c-6f0e-4d5c-9f6e-0a8c6e1b7d21")
"""Names our models' ids."""

ENDS: Final = (".", "?", "!", "…", "。", "？", "！")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """How a client wants its words written."""

    punctuated: bool

    @classmethod
    def of(cls, query: MultiMapping[str]) -> Wording:
        """Raises InvalidRequestError."""
        return cls(punctuated=flag(query, "punctuate") or flag(query, "smart_format") or flag(query, "paragraphs"))

    def text(self, text: str) -> str:
        return text if self.punctuated else " ".join(filter(None, map(plain, text.split())))

    def word(self, word: Word) -> dict[str, Any]:
        told: dict[str, Any] = {
            "word": plain(word.word) or word.word,
            "start": word.start_ms / 1000,
            "end": word.end_ms / 1000,
            "confidence": word.confidence,
        }
        if self.punctuated:
            told["punctuated_word"] = word.word
        return told

    def alternative(self, segments: Sequence[Segment]) -> dict[str, Any]:
        words = [word for segment in segments for word in segment.words]
        return {
            "transcript": " ".join(self.text(segment.text) for segment in segments),
            "confidence": confidence(segments),
            "words": [self.word(word) for word in words],
        }


def plain(word: str) -> str:
    """In lower case, without the punctuation around it."""
    kept = word.lower().strip()
    begin, end = 0, len(kept)
    while begin < end and unicodedata.category(kept[begin]).startswith(("P", "S")):
        begin += 1
    while end > begin and unicodedata.category(kept[end - 1]).startswith(("P", "S")):
        end -= 1
    return kept[begin:end]


def confidence(segments: Sequence[Segment]) -> float:
    """By the length of what was said; 0 where nothing was."""
    lengths = [max(1, segment.end_ms - segment.start_ms) for segment in segments]
    sure = sum(segment.confidence * length for segment, length in zip(segments, lengths, strict=True))
    return round(sure / sum(lengths), 4) if lengths else 0.0


def keyterms(query: MultiMapping[str]) -> list[str]:
    """`keyterm` as it is, `keywords` without their weights."""
    return [*listed(query, "keyterm"), *(word.rpartition(":")[0] or word for word in listed(query, "keywords"))]


def language(query: MultiMapping[str]) -> str | None:
    """As an order has it: English unless something else is said, as at Deepgram."""
    if query.get("detect_language", "false").lower() not in {"false", "0"}:
        return None
    told = query.get("language", "en")
    return None if told == "multi" else told


def model_uuid(name: str) -> str:
    return str(uuid.uuid5(MODELS, name))


def model_info(name: str) -> Mapping[str, str]:
    return {"name": name, "version": __version__, "arch": "whisper"}
