"""Words, alternatives and models in Deepgram's form: times in seconds."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from multidict import MultiMapping

from bridge import __version__
from bridge.compat.asking import flag, listed
from bridge.compat.words import SpeakerNumbers, confidence, plain
from bridge.model.words import Segment, Word

MODELS: Final = uuid.UUID("6f5b2a9c-6f0e-4d5c-9f6e-0a8c6e1b7d21")
"""Names our models' ids."""

ENDS: Final = (".", "?", "!", "…", "。", "？", "！")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """How a client wants its words written."""

    punctuated: bool
    diarized: bool
    numbers: SpeakerNumbers = field(default_factory=SpeakerNumbers)

    @classmethod
    def of(cls, query: MultiMapping[str]) -> Wording:
        """Raises InvalidRequestError."""
        return cls(
            punctuated=flag(query, "punctuate") or flag(query, "smart_format") or flag(query, "paragraphs"),
            diarized=flag(query, "diarize"),
        )

    def text(self, text: str) -> str:
        return text if self.punctuated else " ".join(filter(None, map(plain, text.split())))

    def word(self, word: Word, speaker: int | None) -> dict[str, Any]:
        told: dict[str, Any] = {
            "word": plain(word.word) or word.word,
            "start": word.start_ms / 1000,
            "end": word.end_ms / 1000,
            "confidence": word.confidence,
        }
        if self.punctuated:
            told["punctuated_word"] = word.word
        if self.diarized and speaker is not None:
            told["speaker"] = speaker
        return told

    def alternative(self, segments: Sequence[Segment]) -> dict[str, Any]:
        speakers = [self.numbers.of(segment.leg, segment.speaker) for segment in segments]
        said = zip(segments, speakers, strict=True)
        words = [(word, speaker) for segment, speaker in said for word in segment.words]
        return {
            "transcript": " ".join(self.text(segment.text) for segment in segments),
            "confidence": confidence(segments),
            "words": [self.word(word, speaker) for word, speaker in words],
        }


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
