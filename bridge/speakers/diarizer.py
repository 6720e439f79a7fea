"""Who said it, on one leg: voices heard in windows, words given to speakers, a changed mind. No model, no clock.

    speech → LegWindows → (an encoder) → Voices, Overlaps ┐
    words  ─────────────────────────────────────────────── Diarizer → words of one speaker each

What has been told is kept: when a group of windows turns out to be somebody else's, the segments that it decides are
named again; when the leg is over, all windows are compared with each other and all segments are cut anew.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.model.frame import SAMPLE_RATE, to_ms
from bridge.model.likeness import Likeness, Vector
from bridge.model.words import Partial, Segment
from bridge.speakers.numbering import Numbering
from bridge.speakers.overlap import Overlaps, Span, marked
from bridge.speakers.splitting import split
from bridge.speakers.timeline import Speaking, Timeline
from bridge.speakers.told import OPEN, Told, ToldSegments
from bridge.speakers.voices import Voices
from bridge.speakers.windows import OverlapWindow, VoiceWindow


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
        self._told = ToldSegments()
        self._before = sorted(told, key=lambda segment: segment.start_ms)
        self._voices.told = frozenset(segment.speaker for segment in told if segment.speaker is not None)
        for segment in self._before:
            inside = self._numbering.keep(segment.segment)
            self._told.keep(inside, Told(replace(segment, segment=inside), [segment]))

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
        recent = OPEN if self._voices.speakers() == before else len(self._told)
        return self._rename(self._speaking(), recent)

    def overlap(self, window: OverlapWindow, spans: Sequence[Span]) -> list[Renamed | Recut]:
        """Where two speak at once in a window, in samples of it, and what that changes for segments told."""
        since_ms = to_ms(self._overlaps.add(window, spans))
        if self._is_behind:
            return []
        late = sum(one.source.end_ms > since_ms for _, one in self._told.last(OPEN))
        return self._rename(self._speaking(), late)

    def partial(self, partial: Partial) -> Partial:
        """With the number that its final will begin with."""
        return replace(partial, segment=self._numbering.first(partial.segment))

    def final(self, segment: Segment) -> list[Segment]:
        """The segment, cut where the speaker changes and named."""
        pieces = self._cut(segment, self._speaking())
        self._told.keep(segment.segment, Told(segment, pieces))
        return [piece for piece in pieces if piece.end_ms > self._told_ms]

    def revision(self, replaces: Sequence[int], segments: Sequence[Segment]) -> Recut:
        """Settled text for earlier segments, cut and named likewise."""
        gone = [one for number in replaces if (one := self._told.pop(number)) is not None]
        told = [Told(segment, self._cut(segment, self._speaking())) for segment in segments]
        for one in told:
            self._told.keep(one.source.segment, one)
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
        return [*self._recut(speaking), *self._rename(speaking, len(self._told))]

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
        for number, one in self._told.last(recent):
            before = len(changed)
            for at, piece in enumerate(one.pieces):
                speaker = _most_of(piece, speaking.at) or piece.speaker
                now = self._marked(replace(piece, speaker=speaker), speaking)
                one.pieces[at] = now
                if now.words != piece.words:
                    changed.append(Recut(replaces=(now.segment,), segments=(now,)))
                elif speaker is not None and speaker != piece.speaker:
                    changed.append(Renamed(segment=now.segment, speaker=speaker))
            if len(changed) > before:
                self._told.keep(number, one)
        return changed

    def _recut(self, speaking: Speaking) -> Iterator[Recut]:
        """Of all segments, where the cuts are not where they were."""
        for number, one in self._told.last(len(self._told)):
            pieces = self._cut(one.source, speaking)
            if [len(piece.words) for piece in pieces] != [len(piece.words) for piece in one.pieces]:
                self._told.keep(number, Told(one.source, pieces))
                yield Recut(replaces=tuple(piece.segment for piece in one.pieces), segments=tuple(pieces))

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
