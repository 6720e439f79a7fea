"""A transcript as people read it or players show it: plain text, SubRip, WebVTT. Pure."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from bridge.model.stream import Leg
from bridge.model.words import SENTENCE_ENDS, Segment, word_places

MAX_CUE_MS: Final = 7000
MAX_CUE_CHARACTERS: Final = 84
"""Two lines of 42, shown for seven seconds at most: what viewers can follow."""

VOICES: Final = {Leg.CALLER: "Caller", Leg.AGENT: "Agent", Leg.MIXED: ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """One subtitle. `voice` is empty where nobody can be told apart."""

    start_ms: int
    end_ms: int
    voice: str
    text: str


def as_text(segments: Sequence[Segment]) -> str:
    """A line a segment, `Caller: …`, in the order given; ends in a newline unless there is nothing."""
    return "".join(f"{_named(_voice(segment), _one_line(segment.text))}\n" for segment in segments)


def as_srt(segments: Sequence[Segment]) -> str:
    """SubRip: numbered cues with comma times, a blank line behind each."""
    return "".join(
        f"{number}\n{_stamp(cue.start_ms, ',')} --> {_stamp(cue.end_ms, ',')}\n{_named(cue.voice, cue.text)}\n\n"
        for number, cue in enumerate(cues(segments), 1)
    )


def as_vtt(segments: Sequence[Segment]) -> str:
    """WebVTT (W3C): the speaker is a voice span, `&`, `<` and `>` are escaped."""
    said = "".join(
        f"\n{_stamp(cue.start_ms, '.')} --> {_stamp(cue.end_ms, '.')}\n{_spanned(cue)}\n" for cue in cues(segments)
    )
    return f"WEBVTT\n{said}"


def cues(segments: Sequence[Segment]) -> list[Cue]:
    """Segments cut at words into what fits a screen, by start time."""
    found = [cue for segment in segments for cue in _cut(segment)]
    return sorted(found, key=lambda cue: (cue.start_ms, cue.end_ms))


def _cut(segment: Segment) -> Iterator[Cue]:
    whole = Cue(
        start_ms=segment.start_ms,
        end_ms=max(segment.end_ms, segment.start_ms + 1),  # players drop a cue that takes no time
        voice=_voice(segment),
        text=_one_line(segment.text),
    )
    places = word_places(replace(segment, text=whole.text))
    if not whole.text:
        return
    if places is None or _fits(whole):
        yield whole
        return
    first, count = 0, len(places)
    while first < count:
        last = first
        while last + 1 < count and _fits(_cue(whole, segment, places, first, last + 1)):
            last += 1
        if last + 1 < count:
            last = _sentence_end(segment, first, last)
        yield _cue(whole, segment, places, first, last)
        first = last + 1


def _sentence_end(segment: Segment, first: int, last: int) -> int:
    """The last word of these that ends a sentence, `last` when none does."""
    ends = (n for n in range(last, first - 1, -1) if segment.words[n].word.rstrip().endswith(SENTENCE_ENDS))
    return next(ends, last)


def _cue(whole: Cue, segment: Segment, places: Sequence[int], first: int, last: int) -> Cue:
    """The cue of words `first` to `last`, with all text up to the next word."""
    begin = 0 if first == 0 else places[first]
    end = places[last + 1] if last + 1 < len(places) else len(whole.text)
    start_ms = whole.start_ms if first == 0 else segment.words[first].start_ms
    end_ms = whole.end_ms if last + 1 == len(places) else segment.words[last].end_ms
    return replace(whole, start_ms=start_ms, end_ms=max(end_ms, start_ms + 1), text=whole.text[begin:end].strip())


def _fits(cue: Cue) -> bool:
    return cue.end_ms - cue.start_ms <= MAX_CUE_MS and len(cue.text) <= MAX_CUE_CHARACTERS


def _voice(segment: Segment) -> str:
    leg = VOICES[segment.leg]
    if segment.speaker is None:
        return leg
    return f"{leg} ({segment.speaker})" if leg else segment.speaker


def _named(voice: str, text: str) -> str:
    return f"{voice}: {text}" if voice else text


def _spanned(cue: Cue) -> str:
    text = html.escape(cue.text, quote=False)
    return f"<v {html.escape(cue.voice, quote=False)}>{text}" if cue.voice else text


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _stamp(milliseconds: int, point: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{rest:03}"
