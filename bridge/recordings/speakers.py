"""Who said it, in a recording: every leg's voices are heard while it is read, and gone over once more at its end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from bridge.model.likeness import Vector
from bridge.model.stream import Leg
from bridge.model.words import Segment
from bridge.ports import VoiceEncoder
from bridge.recognise.heard import Revision, SpeakerChanged
from bridge.speakers.diarizer import Diarizer, Recut, Renamed
from bridge.speakers.listening import hear
from bridge.speakers.windows import OverlapWindow, VoiceWindow

Correction: TypeAlias = Revision | SpeakerChanged


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What has been told of a leg: of a recording that is taken up again."""

    segment: int = 0
    until_ms: int = 0
    said: tuple[Segment, ...] = ()


class Speakers:
    """All legs of one recording."""

    def __init__(
        self,
        encoder: VoiceEncoder,
        legs: Sequence[Leg],
        before: Mapping[Leg, Before],
        known: Mapping[str, Vector],
    ) -> None:
        self._encoder = encoder
        self._diarizers = {leg: self._diarizer(before.get(leg, Before())) for leg in legs}
        for diarizer in self._diarizers.values():
            diarizer.know(known)

    def _diarizer(self, before: Before) -> Diarizer:
        return Diarizer(
            self._encoder.likeness, first_segment=before.segment + 1, told_ms=before.until_ms, told=before.said
        )

    async def hear(self, leg: Leg, windows: Sequence[VoiceWindow | OverlapWindow]) -> list[Correction]:
        """What new voices say about segments that have been told. Raises EngineError, SetupError."""
        found: list[Correction] = []
        for window in windows:
            found += _corrections(leg, await hear(self._diarizers[leg], self._encoder, window))
        return found

    def final(self, segment: Segment) -> list[Segment]:
        """The segment, cut where the speaker changes and named."""
        return self._diarizers[segment.leg].final(segment)

    async def settle(self) -> list[Correction]:
        """What all of the recording, heard together, says otherwise; nobody has followed it live, so that speakers
        are named in the order they are heard.
        """
        found: list[Correction] = []
        for leg, diarizer in self._diarizers.items():
            found += _corrections(leg, await asyncio.to_thread(diarizer.settle, keep_names=False))
        return found


def corrected(segments: Sequence[Segment], corrections: Sequence[Correction]) -> list[Segment]:
    """The segments as they stand after all corrections, in order."""
    standing = {(segment.leg, segment.segment): segment for segment in segments}
    for one in corrections:
        if isinstance(one, Revision):
            for number in one.replaces:
                standing.pop((one.leg, number), None)
            standing.update({(one.leg, segment.segment): segment for segment in one.segments})
        elif (key := (one.leg, one.segment)) in standing:
            standing[key] = replace(standing[key], speaker=one.speaker)
    return list(standing.values())


def _corrections(leg: Leg, told: Iterable[Renamed | Recut]) -> list[Correction]:
    return [_correction(leg, one) for one in told]


def _correction(leg: Leg, told: Renamed | Recut) -> Correction:
    match told:
        case Renamed(segment=segment, speaker=speaker):
            return SpeakerChanged(leg=leg, segment=segment, speaker=speaker)
        case Recut(replaces=replaces, segments=segments):
            return Revision(leg=leg, replaces=replaces, segments=segments)
