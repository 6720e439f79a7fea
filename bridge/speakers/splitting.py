"""A segment cut where the speaker changes: at a word, and where there is a choice, at a sentence's end or a pause."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from bridge.model.words import SENTENCE_ENDS, Segment, Word, word_places

SpeakerAt = Callable[[float], str | None]
"""Who speaks at so many ms of the leg."""

SHORTEST_MS: Final = 500
"""A change of speaker that lasts no longer is none: too little was heard to tell."""

NEAR_WORDS: Final = 2
"""A cut may move by so many words to a better place."""

SENTENCE_MS: Final = 500
"""How far off a sentence's end may be and still be preferred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """Words `first` to before `last` of one speaker."""

    speaker: str | None
    first: int
    last: int


def split(segment: Segment, speaker_at: SpeakerAt) -> list[Segment]:
    """The segment as one or more, each of one speaker; numbers are its own. Text and words are kept, none twice."""
    runs = _runs(segment.words, speaker_at)
    if len(runs) < 2:
        middle = (segment.start_ms + segment.end_ms) / 2
        return [replace(segment, speaker=runs[0].speaker if runs else speaker_at(middle))]
    places = word_places(segment) or _spread(segment.words)
    text = segment.text if word_places(segment) else " ".join(word.word for word in segment.words)
    return [_piece(segment, run, text, places) for run in runs]


def _runs(words: Sequence[Word], speaker_at: SpeakerAt) -> list[_Run]:
    runs = _merged([_Run(speaker=_speaker(word, speaker_at), first=n, last=n + 1) for n, word in enumerate(words)])
    while (short := _shortest(runs, words)) is not None:
        runs = _merged(_given_away(runs, short, words))
    return _moved(runs, words)


def _speaker(word: Word, speaker_at: SpeakerAt) -> str | None:
    return speaker_at((word.start_ms + word.end_ms) / 2)


def _merged(runs: Sequence[_Run]) -> list[_Run]:
    found: list[_Run] = []
    for run in runs:
        if found and found[-1].speaker == run.speaker:
            found[-1] = replace(found[-1], last=run.last)
        else:
            found.append(run)
    return found


def _length_ms(run: _Run, words: Sequence[Word]) -> int:
    return words[run.last - 1].end_ms - words[run.first].start_ms


def _shortest(runs: Sequence[_Run], words: Sequence[Word]) -> int | None:
    if len(runs) < 2:
        return None
    at = min(range(len(runs)), key=lambda n: _length_ms(runs[n], words))
    return at if _length_ms(runs[at], words) < SHORTEST_MS else None


def _given_away(runs: Sequence[_Run], at: int, words: Sequence[Word]) -> list[_Run]:
    """The run at `at` becomes the longer neighbour's."""
    near = [n for n in (at - 1, at + 1) if 0 <= n < len(runs)]
    taker = max(near, key=lambda n: _length_ms(runs[n], words))
    return [replace(run, speaker=runs[taker].speaker) if n == at else run for n, run in enumerate(runs)]


def _moved(runs: Sequence[_Run], words: Sequence[Word]) -> list[_Run]:
    """Each cut where it is best: near its place, behind a sentence, in a pause."""
    found = list(runs)
    for n in range(1, len(found)):
        before, after = found[n - 1], found[n]
        cut = after.first
        choices = range(max(before.first + 1, cut - NEAR_WORDS), min(after.last, cut + NEAR_WORDS + 1))
        best = min(choices, key=lambda place: (_cost(place, cut, words), abs(place - cut)))
        found[n - 1], found[n] = replace(before, last=best), replace(after, first=best)
    return found


def _cost(place: int, cut: int, words: Sequence[Word]) -> float:
    before, after = words[place - 1], words[place]
    off = abs(after.start_ms - words[cut].start_ms)
    sentence = before.word.rstrip().endswith(SENTENCE_ENDS)
    return off - (SENTENCE_MS if sentence else 0) - (after.start_ms - before.end_ms)


def _spread(words: Sequence[Word]) -> list[int]:
    places = []
    behind = 0
    for word in words:
        places.append(behind)
        behind += len(word.word) + 1
    return places


def _piece(segment: Segment, run: _Run, text: str, places: Sequence[int]) -> Segment:
    words = segment.words[run.first : run.last]
    whole = len(segment.words)
    begin = 0 if run.first == 0 else places[run.first]
    end = places[run.last] if run.last < whole else len(text)
    return replace(
        segment,
        speaker=run.speaker,
        start_ms=segment.start_ms if run.first == 0 else words[0].start_ms,
        end_ms=segment.end_ms if run.last == whole else words[-1].end_ms,
        text=text[begin:end].strip(),
        confidence=round(sum(word.confidence for word in words) / len(words), 3),
        words=words,
    )
