"""Who said it, on one leg: voices heard in windows, words given to speakers, a changed mind. No model, no clock.

    speech → LegWindows → (an encoder) → Voices, Overlaps ┐
    words  ─────────────────────────────────────────────── Diarizer → words of one speaker each

What has been told is kept: when a group of windows turns out to be somebody else's, the segments that it decides are
named again; when the leg is over, all windows are compared with each other and all segments are cut anew.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from bridge.model.frame import SAMPLE_RATE, to_ms
from bridge.model.likeness import Likeness, Vector
from bridge.model.words import Partial, Segment
from bridge.speakers.numbering import Numbering
from bridge.speakers.overlap import Overlaps, Span, marked
from bridge.speakers.splitting import split
from bridge.speakers.timeline import Speaking, Timeline
from bridge.speakers.voices import Voices
from bridge.speakers.windows import OverlapWindow, VoiceWindow

RECENT: Final = 50
"""Segments that are looked at again when a few windows change hands; older ones when speakers come or go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Renamed:
    """A later, better answer for a segment that has been told."""

    segment: int
    speaker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recut:
    """Segments that take the place of those numbered in `replaces`."""

    replaces: tuple[int, ...]
    segments: tuple[Segment, ...]


@dataclass(slots=True)
class _Told:
    """What the recogniser said, and what was made of it."""

    source: Segment
    pieces: list[Segment]


class Diarizer:
    """One leg. Windows come in order; a segment's windows come before it, as far as there was time."""

    def __init__(
        self, likeness: Likeness, *, first_segment: int = 1, told_ms: int = 0, told: Sequence[Segment] = ()
    ) -> None:
        """`first_segment`, `told_ms`, `told`: of a call that is taken up again, which has been told until then; it is
        heard again from its beginning, and its segments and names go on.
        """
        self._voices = Voices(likeness)
        self._timeline = Timeline()
        self._overlaps = Overlaps()
        self._numbering = Numbering(first_segment)
        self._told_ms = told_ms
        self._told: dict[int, _Told] = {}
        """By the recogniser's number."""
        self._before = sorted(told, key=lambda segment: segment.start_ms)
        self._voices.told = frozenset(segment.speaker for segment in told if segment.speaker is not None)
        for segment in self._before:
            inside = self._numbering.keep(segment.segment)
            self._told[inside] = _Told(replace(segment, segment=inside), [segment])

    @property
    def heard_until(self) -> int:
        """Samples: behind the last window heard."""
        return self._timeline.end

    def know(self, voices: Mapping[str, Vector]) -> None:
        """Directions of voices that have a name of their own. Before the first window."""
        self._voices.known = voices

    def hear(self, window: VoiceWindow, voice: Vector) -> list[Renamed | Recut]:
        """A window's voice, and what that changes for segments that have been told."""
        fresh = self._timeline.add(window)
        before = self._voices.speakers()
        changed = self._voices.hear(voice, fresh / SAMPLE_RATE, self._told_at(to_ms(window.middle)))
        if not changed or self._is_behind:
            return []
        recent = RECENT if self._voices.speakers() == before else len(self._told)
        return self._rename(self._speaking(), recent)

    def overlap(self, window: OverlapWindow, spans: Sequence[Span]) -> list[Renamed | Recut]:
        """Where two speak at once in a window, in samples of it, and what that changes for segments told."""
        since_ms = to_ms(self._overlaps.add(window, spans))
        if self._is_behind:
            return []
        late = sum(1 for one in islice(reversed(self._told.values()), RECENT) if one.source.end_ms > since_ms)
        return self._rename(self._speaking(), late)

    def partial(self, partial: Partial) -> Partial:
        """With the number that its final will begin with."""
        return replace(partial, segment=self._numbering.first(partial.segment))

    def final(self, segment: Segment) -> list[Segment]:
        """The segment, cut where the speaker changes and named."""
        told = _Told(segment, [])
        self._told[segment.segment] = told
        told.pieces = self._cut(segment, self._speaking())
        return [piece for piece in told.pieces if piece.end_ms > self._told_ms]

    def revision(self, replaces: Sequence[int], segments: Sequence[Segment]) -> Recut:
        """Settled text for earlier segments, cut and named likewise."""
        gone = [self._told.pop(number) for number in replaces if number in self._told]
        told = [_Told(segment, []) for segment in segments]
        for one in told:
            one.pieces = self._cut(one.source, self._speaking())
            self._told[one.source.segment] = one
        return Recut(
            replaces=tuple(piece.segment for one in gone for piece in one.pieces),
            segments=tuple(piece for one in told for piece in one.pieces),
        )

    def settle(self, *, keep_names: bool = True) -> list[Renamed | Recut]:
        """The leg is over and its text stands: what all of it, heard together, says otherwise. `keep_names` as in
        `Voices.whole`.
        """
        if not len(self._timeline):
            return []
        speakers = self._voices.whole(keep_names=keep_names)
        speaking = Speaking(self._timeline, speakers.__getitem__)
        recut = [found for one in self._told.values() if (found := self._recut(one, speaking)) is not None]
        return [*recut, *self._rename(speaking, len(self._told))]

    @property
    def _is_behind(self) -> bool:
        """What an earlier process has told is still being heard again."""
        return to_ms(self._timeline.end) < self._told_ms

    def _told_at(self, at_ms: int) -> str | None:
        """Who an earlier process said speaks there."""
        place = bisect_right(self._before, at_ms, key=lambda segment: segment.start_ms) - 1
        segment = self._before[place] if place >= 0 else None
        return segment.speaker if segment is not None and at_ms < segment.end_ms else None

    def _speaking(self) -> Speaking:
        """As far as is known now."""
        return Speaking(self._timeline, self._voices.speaker)

    def _rename(self, speaking: Speaking, recent: int) -> list[Renamed | Recut]:
        """Of the segments told last."""
        changed: list[Renamed | Recut] = []
        for one in reversed(list(islice(reversed(self._told.values()), recent))):
            for at, piece in enumerate(one.pieces):
                speaker = _most_of(piece, speaking.at) or piece.speaker
                now = self._marked(replace(piece, speaker=speaker), speaking)
                one.pieces[at] = now
                if now.words != piece.words:
                    changed.append(Recut(replaces=(now.segment,), segments=(now,)))
                elif speaker is not None and speaker != piece.speaker:
                    changed.append(Renamed(segment=now.segment, speaker=speaker))
        return changed

    def _recut(self, one: _Told, speaking: Speaking) -> Recut | None:
        """None when the cuts are where they were."""
        replaces = tuple(piece.segment for piece in one.pieces)
        before = [len(piece.words) for piece in one.pieces]
        pieces = self._cut(one.source, speaking)
        if [len(piece.words) for piece in pieces] == before:
            return None
        one.pieces = pieces
        return Recut(replaces=replaces, segments=tuple(pieces))

    def _cut(self, segment: Segment, speaking: Speaking) -> list[Segment]:
        """Pieces of one speaker each, with numbers of their own, marked where another speaks, too."""
        pieces = split(segment, speaking.at)
        numbers = self._numbering.pieces(segment.segment, len(pieces))
        return [
            self._marked(replace(piece, segment=number), speaking)
            for piece, number in zip(pieces, numbers, strict=True)
        ]

    def _marked(self, piece: Segment, speaking: Speaking) -> Segment:
        return marked(piece, self._overlaps, lambda at_ms: speaking.other(at_ms, piece.speaker))


def _most_of(piece: Segment, speaker_at: Callable[[float], str | None]) -> str | None:
    """Who says most of it, by words."""
    times = [(word.start_ms + word.end_ms) / 2 for word in piece.words] or [(piece.start_ms + piece.end_ms) / 2]
    said = Counter(speaker for time in times if (speaker := speaker_at(time)) is not None)
    return said.most_common(1)[0][0] if said else None
