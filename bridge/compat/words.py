"""Words as services write them: with or without capitals and punctuation, and how sure the engine is of many."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from bridge.model.stream import Leg
from bridge.model.words import Segment, Word


def plain(word: str) -> str:
    """In lower case, without the punctuation around it."""
    return bare(word.lower())


def bare(word: str) -> str:
    """Without the punctuation around it."""
    kept = word.strip()
    begin, end = 0, len(kept)
    while begin < end and unicodedata.category(kept[begin]).startswith(("P", "S")):
        begin += 1
    while end > begin and unicodedata.category(kept[end - 1]).startswith(("P", "S")):
        end -= 1
    return kept[begin:end]


class SpeakerNumbers:
    """Who speaks, as numbers from 0 in the order they are first heard: here they have names, for each leg its own."""

    def __init__(self) -> None:
        self._known: dict[tuple[Leg, str], int] = {}

    def of(self, leg: Leg, name: str | None) -> int | None:
        """None where nobody has been told apart."""
        return None if name is None else self._known.setdefault((leg, name), len(self._known))


def letter(number: int) -> str:
    """`A` to `Z`, then `A1` and so on."""
    turn, place = divmod(number, 26)
    return chr(ord("A") + place) + (str(turn) if turn else "")


def confidence(segments: Sequence[Segment]) -> float:
    """By the length of what was said; 0 where nothing was."""
    lengths = [max(1, segment.end_ms - segment.start_ms) for segment in segments]
    sure = sum(segment.confidence * length for segment, length in zip(segments, lengths, strict=True))
    return round(sure / sum(lengths), 4) if lengths else 0.0


def spread_out(words: Sequence[str], start_ms: int, end_ms: int) -> list[Word]:
    """Words that have no times yet, over the time that they were said in, by their lengths."""
    total = sum(map(len, words)) or 1
    found, at = [], 0
    for word in words:
        begin, at = at, at + len(word)
        times = [start_ms + (end_ms - start_ms) * place // total for place in (begin, at)]
        found.append(Word(word=word, start_ms=times[0], end_ms=times[1], confidence=0.0))
    return found
