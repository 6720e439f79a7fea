"""Who said it, on one leg: voices heard in windows, words given to speakers, a changed mind. No model, no clock.

    speech → Windows → (an encoder) → Voices ┐
    words  ────────────────────────────────── Diarizer → words of one speaker each

What has been told is kept: when a group of windows turns out to be somebody else's, the segments that it decides are
named again; when the leg is over, all windows are compared with each other and all segments are cut anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from bridge.model.frame import SAMPLE_RATE, from_ms
from bridge.model.likeness import Likeness, Vector
from bridge.model.words import Partial, Segment
from bridge.speakers.numbering import Numbering
from bridge.speakers.splitting import SpeakerAt, split
from bridge.speakers.timeline import Timeline
from bridge.speakers.voices import Voices
from bridge.speakers.windows import VoiceWindow

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

    def __init__(self, likeness: Likeness, *, first_segment: int = 1, told_ms: int = 0) -> None:
        """`first_segment`, `told_ms`: of a call that is taken up again, which has been told until then."""
        self._voices = Voices(likeness)
        self._timeline = Timeline()
        self._numbering = Numbering(first_segment)
        self._told_ms = told_ms
        self._told: dict[int, _Told] = {}
        """By the recogniser's number."""

    @property
    def heard_until(self) -> int:
        """Samples: behind the last window heard."""
        return self._timeline.end

    def know(self, voices: Mapping[str, Vector]) -> None:
        """Directions of voices that have a name of their own. Before the first window."""
        self._voices.known = voices

    def hear(self, window: VoiceWindow, voice: Vector) -> list[Renamed]:
        """A window's voice, and what that changes for segments that have been told."""
        fresh = self._timeline.add(window)
        before = self._voices.speakers()
        if not self._voices.hear(voice, fresh / SAMPLE_RATE):
            return []
        recent = RECENT if self._voices.speakers() == before else len(self._told)
        return self._rename(self._speaker_at, recent)

    def partial(self, partial: Partial) -> Partial:
        """With the number that its final will begin with."""
        return replace(partial, segment=self._numbering.first(partial.segment))

    def final(self, segment: Segment) -> list[Segment]:
        """The segment, cut where the speaker changes and named."""
        told = _Told(segment, [])
        self._told[segment.segment] = told
        told.pieces = self._numbered(split(segment, self._speaker_at), segment.segment)
        return [piece for piece in told.pieces if piece.end_ms > self._told_ms]

    def revision(self, replaces: Sequence[int], segments: Sequence[Segment]) -> Recut:
        """Settled text for earlier segments, cut and named likewise."""
        gone = [self._told.pop(number) for number in replaces if number in self._told]
        told = [_Told(segment, []) for segment in segments]
        for one in told:
            one.pieces = self._numbered(split(one.source, self._speaker_at), one.source.segment)
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

        def speaker_at(milliseconds: float) -> str | None:
            window = self._timeline.window_at(from_ms(milliseconds))
            return None if window is None else speakers[window]

        recut = [found for one in self._told.values() if (found := self._recut(one, speaker_at)) is not None]
        return [*recut, *self._rename(speaker_at, len(self._told))]

    def _speaker_at(self, milliseconds: float) -> str | None:
        window = self._timeline.window_at(from_ms(milliseconds))
        return None if window is None else self._voices.speaker(window)

    def _rename(self, speaker_at: SpeakerAt, recent: int) -> list[Renamed]:
        """Of the segments told last."""
        renamed = []
        for one in reversed(list(islice(reversed(self._told.values()), recent))):
            for at, piece in enumerate(one.pieces):
                speaker = _most_of(piece, speaker_at)
                if speaker is not None and speaker != piece.speaker:
                    one.pieces[at] = replace(piece, speaker=speaker)
                    renamed.append(Renamed(segment=piece.segment, speaker=speaker))
        return renamed

    def _recut(self, one: _Told, speaker_at: SpeakerAt) -> Recut | None:
        """None when the cuts are where they were."""
        pieces = split(one.source, speaker_at)
        if [piece.words for piece in pieces] == [piece.words for piece in one.pieces]:
            return None
        replaces = tuple(piece.segment for piece in one.pieces)
        one.pieces = self._numbered(pieces, one.source.segment)
        return Recut(replaces=replaces, segments=tuple(one.pieces))

    def _numbered(self, pieces: Sequence[Segment], inside: int) -> list[Segment]:
        numbers = self._numbering.pieces(inside, len(pieces))
        return [replace(piece, segment=number) for piece, number in zip(pieces, numbers, strict=True)]


def _most_of(piece: Segment, speaker_at: SpeakerAt) -> str | None:
    """Who says most of it, by words."""
    times = [(word.start_ms + word.end_ms) / 2 for word in piece.words] or [(piece.start_ms + piece.end_ms) / 2]
    said = Counter(speaker for time in times if (speaker := speaker_at(time)) is not None)
    return said.most_common(1)[0][0] if said else None
