"""Words and utterances in Pulse's form: times in seconds. What is not built (emotion, age, gender) is left out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from multidict import MultiMapping

from bridge.compat.asking import flag, listed
from bridge.compat.recorded import Transcribed
from bridge.compat.words import SpeakerNumbers, bare
from bridge.errors import InvalidRequestError
from bridge.model.words import Segment, Word


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """How a client wants its words written."""

    punctuated: bool
    capital: bool
    diarized: bool
    numbers: SpeakerNumbers = field(default_factory=SpeakerNumbers)

    @classmethod
    def of(cls, query: MultiMapping[str]) -> Wording:
        """Raises InvalidRequestError."""
        formatted = flag(query, "format", default=True)
        return cls(
            punctuated=formatted and flag(query, "punctuate", default=True),
            capital=formatted and flag(query, "capitalize", default=True),
            diarized=flag(query, "diarize"),
        )

    def text(self, text: str) -> str:
        return " ".join(filter(None, map(self._written, text.split())))

    def words(self, segment: Segment, *, named: bool) -> list[dict[str, Any]]:
        """`named`: speakers have names, as in recordings; else they are numbers, as they are live."""
        speaker = self._speaker(segment, named=named)
        return [{**self._word(word), **speaker} for word in segment.words]

    def _word(self, word: Word) -> dict[str, Any]:
        return {
            "word": self._written(word.word) or word.word,
            "start": word.start_ms / 1000,
            "end": word.end_ms / 1000,
            "confidence": word.confidence,
        }

    def _speaker(self, segment: Segment, *, named: bool) -> dict[str, Any]:
        number = self.numbers.of(segment.leg, segment.speaker) if self.diarized else None
        return {} if number is None else {"speaker": f"speaker_{number}" if named else number}

    def utterance(self, segment: Segment, *, named: bool) -> dict[str, Any]:
        told = {"text": self.text(segment.text), "start": segment.start_ms / 1000, "end": segment.end_ms / 1000}
        return {**told, **self._speaker(segment, named=named)}

    def _written(self, word: str) -> str:
        kept = word if self.punctuated else bare(word)
        return kept if self.capital else kept.lower()


def told_of(done: Transcribed, wording: Wording, *, with_words: bool) -> dict[str, Any]:
    """What an answer says of the words."""
    told: dict[str, Any] = {
        "transcription": " ".join(wording.text(segment.text) for segment in done.segments),
        "language": done.language,
        "audio_length": done.seconds,
    }
    if with_words:
        told["words"] = [word for segment in done.segments for word in wording.words(segment, named=True)]
        told["utterances"] = [wording.utterance(segment, named=True) for segment in done.segments]
    return told


def check_model(query: MultiMapping[str], known: Collection[str], *, needed: bool) -> None:
    """Raises InvalidRequestError for a model that the path does not have."""
    told = query.get("model")
    if (told is None and needed) or (told is not None and told not in known):
        why = f"must be one of {', '.join(sorted(known))}"
        raise InvalidRequestError(f"model {why}", fields={"model": why})


def keywords(query: MultiMapping[str]) -> list[str]:
    """`word:weight` or a bare word, with commas between; weights are of no use here."""
    return [word.partition(":")[0].strip() for word in listed(query, "keywords", commas=True)]
