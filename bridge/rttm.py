"""Who spoke when, as NIST's Rich Transcription Time Marked files say it: a line a turn, read and written.

`SPEAKER <file> <channel> <start s> <duration s> <NA> <NA> <speaker> <NA> <NA>` (NIST, "The 2009 Rich Transcription
Evaluation Plan", appendix A).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from bridge.errors import InvalidRequestError
from bridge.model.stream import Leg
from bridge.model.words import Segment

CHANNELS: Final = {Leg.CALLER: 1, Leg.MIXED: 1, Leg.AGENT: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenTurn:
    """One speaker, from when to when."""

    start_ms: int
    end_ms: int
    speaker: str


def as_rttm(segments: Sequence[Segment], name: str) -> str:
    """A line a segment, and behind it one for each run of its words that somebody else speaks at the same time as.

    Who has no name goes by the leg's. Blanks in `name` become underscores.
    """
    file = "_".join(name.split()) or "call"
    return "".join(
        f"SPEAKER {file} {CHANNELS[segment.leg]} {turn.start_ms / 1000:.3f} "
        f"{(turn.end_ms - turn.start_ms) / 1000:.3f} <NA> <NA> {_named(segment.leg, turn.speaker)} <NA> <NA>\n"
        for segment in segments
        for turn in _turns(segment)
    )


def read_rttm(lines: Iterable[str]) -> list[SpokenTurn]:
    """The `SPEAKER` lines; others are passed over. Raises InvalidRequestError for one that is no such line."""
    turns = []
    for number, line in enumerate(lines, 1):
        fields = line.split()
        if not fields or fields[0] != "SPEAKER":
            continue
        try:
            start, duration, speaker = float(fields[3]), float(fields[4]), fields[7]
        except (IndexError, ValueError):
            raise InvalidRequestError(f"RTTM, line {number}: {line.strip()[:80]!r} is no SPEAKER line") from None
        turns.append(SpokenTurn(start_ms=round(start * 1000), end_ms=round((start + duration) * 1000), speaker=speaker))
    return turns


def _turns(segment: Segment) -> Iterator[SpokenTurn]:
    yield SpokenTurn(start_ms=segment.start_ms, end_ms=segment.end_ms, speaker=segment.speaker or "")
    for speaker, words in groupby(segment.words, key=lambda word: word.overlap):
        run = list(words)
        if speaker is not None:
            yield SpokenTurn(start_ms=run[0].start_ms, end_ms=run[-1].end_ms, speaker=speaker)


def _named(leg: Leg, speaker: str) -> str:
    """Names count per leg: with two legs the leg is part of it."""
    if not speaker:
        return str(leg)
    return speaker if leg is Leg.MIXED else f"{leg}-{speaker}"
