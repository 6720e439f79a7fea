"""What a call's events are worth, against what was said and when: right words, in time, that hold still."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import itemgetter
from typing import Any, Final

import numpy as np

from bridge.bench.calls import BenchCall, Utterance
from bridge.bench.score import WordErrors, lost_at_end, word_errors
from bridge.recognise.agreement import bare

END_SLACK_MS: Final = 400
"""A final that ends so much before an utterance's true end still covers it: VADs stop at the last loud sound."""

STRETCH: Final = 100
"""Utterances whose words are aligned at once: time and memory for that grow with the square of the words."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One event as a subscriber got it, and when, in Unix seconds."""

    at: float
    event: Mapping[str, Any]

    @property
    def type(self) -> str:
        return str(self.event["type"])


@dataclass(slots=True)
class Figures:
    """What was measured, of one call or of many added up."""

    calls: int = 0
    finals_s: list[float] = field(default_factory=list)
    """From the true end of each utterance to its final."""
    first_partials_s: list[float] = field(default_factory=list)
    partials: int = 0
    speech_s: float = 0.0
    audio_s: float = 0.0
    shown: int = 0
    """Words shown in partials."""
    taken_back: int = 0
    """Of those, words that a later partial of the segment did not keep."""
    broken_promises: int = 0
    """Stable words that a later text did not keep. Should be 0."""
    missing: int = 0
    """Utterances without a final."""
    lost_at_end: int = 0
    live: WordErrors = field(default_factory=WordErrors)
    settled: WordErrors = field(default_factory=WordErrors)

    def add(self, other: Figures) -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


def measure(
    call: BenchCall, seen: Sequence[Seen], settled: Sequence[Mapping[str, Any]], sent_at: Callable[[float], float]
) -> Figures:
    """One call's figures. `sent_at(ms)` is when the sample at that place was sent; `settled` the stored transcript's
    segments.
    """
    figures = Figures(calls=1, audio_s=call.duration_ms / 1000)
    finals = [one.event for one in seen if one.type == "transcript.final"]
    for utterance in call.utterances:
        figures.speech_s += (utterance.end_ms - utterance.start_ms) / 1000
        _time(utterance, [one for one in seen if one.event.get("leg") == utterance.leg], sent_at, figures)
    _flicker(seen, figures)
    said = heard = ""
    for utterances, within in _stretches(call):
        said, heard = " ".join(utterance.text or "" for utterance in utterances), _text(finals, within)
        figures.live += word_errors(said, heard, call.language)
        figures.settled += word_errors(said, _text(settled, within), call.language)
    figures.lost_at_end = lost_at_end(said, heard, call.language)
    return figures


def _stretches(call: BenchCall) -> Iterator[tuple[Sequence[Utterance], tuple[float, float]]]:
    """The call in pieces of `STRETCH` utterances, each from the pause before it to the pause behind, in ms."""
    starts = range(0, len(call.utterances), STRETCH)
    pauses = [(call.utterances[at - 1].end_ms + call.utterances[at].start_ms) / 2 for at in starts[1:]]
    for at, within in zip(starts, pairwise([-math.inf, *pauses, math.inf]), strict=True):
        yield call.utterances[at : at + STRETCH], within


def _text(segments: Iterable[Mapping[str, Any]], within: tuple[float, float]) -> str:
    begin, end = within
    mine = (segment for segment in segments if begin <= segment["start_ms"] < end)
    return " ".join(segment["text"] for segment in sorted(mine, key=itemgetter("start_ms")))


def _time(utterance: Utterance, seen: Sequence[Seen], sent_at: Callable[[float], float], figures: Figures) -> None:
    covers = [
        one
        for one in seen
        if one.type == "transcript.final"
        and one.event["start_ms"] < utterance.end_ms
        and one.event["end_ms"] >= utterance.end_ms - END_SLACK_MS
    ]
    if covers:
        figures.finals_s.append(covers[0].at - sent_at(utterance.end_ms))
    else:
        figures.missing += 1
    partials = [
        one
        for one in seen
        if one.type == "transcript.partial"
        and one.event["end_ms"] > utterance.start_ms
        and one.event["start_ms"] < utterance.end_ms
    ]
    figures.partials += len(partials)
    if partials:
        figures.first_partials_s.append(partials[0].at - sent_at(utterance.start_ms))


def _flicker(seen: Sequence[Seen], figures: Figures) -> None:
    segments: dict[tuple[str, int], list[Mapping[str, Any]]] = defaultdict(list)
    for one in seen:
        if one.type in {"transcript.partial", "transcript.final"}:
            segments[one.event["leg"], one.event["segment"]].append(one.event)
    for texts in segments.values():
        shown: list[str] = []
        stable = ""
        for event in texts:
            figures.broken_promises += not _keeps(event["text"], stable)
            if event["type"] == "transcript.final":
                break
            words = event["text"].split()
            kept = _common(shown, words)
            figures.taken_back += len(shown) - kept
            figures.shown += len(words) - kept
            shown, stable = words, event["stable_text"]


def _keeps(text: str, stable: str) -> bool:
    promised = [bare(word) for word in stable.split()]
    return [bare(word) for word in text.split()[: len(promised)]] == promised


def _common(before: Sequence[str], after: Sequence[str]) -> int:
    same = 0
    for old, new in zip(before, after, strict=False):
        if bare(old) != bare(new):
            break
        same += 1
    return same


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of them lie; NaN of none."""
    return float(np.quantile(values, share)) if values else math.nan
