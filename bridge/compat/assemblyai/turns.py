"""Turns, as AssemblyAI tells them: finals of one stretch of speech, partials behind them, and one end, or two."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from bridge.compat.words import SpeakerNumbers, letter, plain, spread_out
from bridge.model.events import TranscriptFinal, TranscriptPartial
from bridge.model.words import Word

Message: TypeAlias = Mapping[str, Any]


class Turns:
    """What is said, by turns. `formatted`: each ends a second time, with capitals and punctuation."""

    def __init__(self, *, formatted: bool, with_language: bool) -> None:
        self.formatted = formatted
        self._with_language = with_language
        self._order = 0
        self._words: list[Word] = []
        """Of this turn, as far as they stand."""
        self._language = ""
        self._numbers = SpeakerNumbers()
        self._speaker: int | None = None
        """Of its last words, from 0."""
        self._ends: deque[int] = deque()
        """Where speech has ended whose last words are not told, in ms."""

    def ended(self, at_ms: int) -> None:
        """Speech is over: the final that reaches so far is the last of its turn."""
        self._ends.append(at_ms)

    def partial(self, partial: TranscriptPartial) -> Sequence[Message]:
        before = self._before(partial.start_ms)
        stable = len(partial.stable_text.split())
        spread = spread_out(partial.text.split(), partial.start_ms, partial.end_ms)
        unfinal: list[Message] = [
            {**_word(word, plain(word.word)), "word_is_final": n < stable} for n, word in enumerate(spread)
        ]
        told = self._turn(self._plain_words() + unfinal, _joined(self._plain_words() + unfinal[:stable]))
        return [*before, told]

    def final(self, final: TranscriptFinal) -> Sequence[Message]:
        before = self._before(final.start_ms)
        self._words += final.words or [
            Word(word=final.text, start_ms=final.start_ms, end_ms=final.end_ms, confidence=final.confidence)
        ]
        self._language = final.language
        self._speaker = self._numbers.of(final.leg, final.speaker)
        if self._passed(final.end_ms):
            return [*before, *self.end()]
        return [*before, self._turn(self._plain_words(), _joined(self._plain_words()))]

    def end(self) -> Sequence[Message]:
        """The turn is over, if anything was said in it."""
        if not self._words:
            return []
        words = self._plain_words()
        told = [self._turn(words, _joined(words), end=True)]
        if self.formatted:
            written = [_word(word, word.word) for word in self._words]
            told.append(self._turn(written, _joined(written), end=True, formatted=True))
        self._order += 1
        self._words = []
        return told

    def _before(self, start_ms: int) -> Sequence[Message]:
        """A turn whose last part came to no words has ended when the next speech has any."""
        return self.end() if self._passed(start_ms) else []

    def _passed(self, at_ms: int) -> bool:
        """Whether speech had ended by then of which no more was told."""
        passed = False
        while self._ends and self._ends[0] <= at_ms:
            self._ends.popleft()
            passed = True
        return passed

    def _plain_words(self) -> list[Message]:
        return [_word(word, plain(word.word) or word.word) for word in self._words]

    def _turn(self, words: Sequence[Message], text: str, *, end: bool = False, formatted: bool = False) -> Message:
        told: dict[str, Any] = {
            "type": "Turn",
            "turn_order": self._order,
            "turn_is_formatted": formatted,
            "end_of_turn": end,
            "transcript": text,
            "end_of_turn_confidence": 1.0 if end else 0.0,
            "words": words,
        }
        if end and self._with_language:
            told["language_code"] = self._language
        if end and self._speaker is not None:
            told["speaker_label"] = letter(self._speaker)
        return told


def _word(word: Word, text: str) -> Message:
    return {
        "text": text,
        "start": word.start_ms,
        "end": word.end_ms,
        "confidence": word.confidence,
        "word_is_final": True,
    }


def _joined(words: Sequence[Message]) -> str:
    return " ".join(word["text"] for word in words)
