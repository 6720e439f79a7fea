"""Words as Speechmatics tells them: punctuation is a result of its own. Times in seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bridge.compat.words import bare
from bridge.model.words import Word

FORMAT: Final = "2.9"
ENDS: Final = frozenset(".?!…。？！")

Message = Mapping[str, Any]


def transcript(
    kind: str,
    text: str,
    span_ms: tuple[int, int],
    words: Sequence[Word],
    *,
    language: str | None = None,
    speaker: str | None = None,
) -> dict[str, Any]:
    """`AddTranscript` or `AddPartialTranscript`. Speakers are named as Speechmatics names them: `S1`, `S2`, …"""
    about = {name: value for name, value in (("language", language), ("speaker", speaker)) if value is not None}
    start_ms, end_ms = span_ms
    return {
        "message": kind,
        "format": FORMAT,
        "metadata": {"start_time": start_ms / 1000, "end_time": end_ms / 1000, "transcript": f"{text} "},
        "results": [result for word in words for result in _results(word, about)],
    }


def end_of_utterance(at_ms: int) -> dict[str, Any]:
    return {"message": "EndOfUtterance", "metadata": {"start_time": at_ms / 1000, "end_time": at_ms / 1000}}


def _results(word: Word, about: Message) -> list[Message]:
    """The word, and each mark behind it."""
    content = bare(word.word)
    if not content:
        return [_result("word", word.word, word.start_ms, word, about)]
    _, _, marks = word.word.rpartition(content)
    told = [_result("word", content, word.start_ms, word, about)]
    for mark in marks.strip():
        ends = {"is_eos": mark in ENDS, "attaches_to": "previous"}
        told.append({**_result("punctuation", mark, word.end_ms, word, about), **ends})
    return told


def _result(kind: str, content: str, start_ms: int, word: Word, about: Message) -> Message:
    return {
        "type": kind,
        "start_time": start_ms / 1000,
        "end_time": word.end_ms / 1000,
        "alternatives": [{"content": content, "confidence": word.confidence, **about}],
    }
