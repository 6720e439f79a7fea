"""The record's text: neighbouring stretches of a leg, merged to at most a full window and decoded once more, with more
care than there is time for while somebody waits, unless many do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bridge.errors import EngineError
from bridge.model.frame import SAMPLE_RATE, Samples, to_ms
from bridge.model.stream import Leg
from bridge.model.words import Segment, Word
from bridge.ports import Clock, Decoded, DecodedWord, DecodeJob, Engine, Urgency
from bridge.recognise.agreement import joined as words_joined
from bridge.recognise.context import GAP, joined
from bridge.recognise.guard import is_invented
from bridge.recognise.heard import Heard, Revision
from bridge.recognise.pace import is_busy
from bridge.recognise.pcm import Pcm16, from_pcm
from bridge.recognise.window import LONGEST_S

LONGEST: Final = round(LONGEST_S * SAMPLE_RATE)

BRISK_LONGEST: Final = 14 * SAMPLE_RATE
"""While the engine is busy: finals wait half as long behind one of its steps."""

SURE: Final = 0.3
"""While the engine is busy, finals whose every word is at least so sure are not decoded again. Of what settling changes
they have a twentieth, of the speech half.
"""

KEPT: Final = 8
"""Groups that may wait, 0.9 MB each. When the engine has no room for so long, the oldest stay as their finals are."""

SHRUNK: Final = 0.6
"""A settled text with less than this share of its finals' words has lost speech: the finals stay."""

PATIENCE_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A final and the speech it came from, which begins at `start`."""

    segment: Segment
    start: int
    pcm: Pcm16

    def __len__(self) -> int:
        """In samples."""
        return len(self.pcm)

    @property
    def samples(self) -> Samples:
        return from_pcm(self.pcm)


class Settling:
    """One leg's finals on their way to settled text."""

    def __init__(
        self, leg: Leg, engine: Engine, clock: Clock, out: asyncio.Queue[Heard], keywords: tuple[str, ...]
    ) -> None:
        self._leg = leg
        self._engine = engine
        self._clock = clock
        self._out = out
        self._keywords = keywords
        self._group: list[Piece] = []
        self._length = 0
        self._ready: asyncio.Queue[list[Piece] | None] = asyncio.Queue()
        self._before = ""

    def add(self, piece: Piece) -> None:
        """A final has been told."""
        length = len(piece) + GAP
        if self._length + length > (BRISK_LONGEST if is_busy(self._engine.pressure()) else LONGEST):
            self._pass_on()
        self._group.append(piece)
        self._length += length

    def close(self) -> None:
        """No more finals will come."""
        self._pass_on()
        self._ready.put_nowait(None)

    async def run(self) -> None:
        """Settle group after group until closed."""
        while (group := await self._ready.get()) is not None:
            await self._settle(group)

    def _pass_on(self) -> None:
        if self._group:
            if self._ready.qsize() >= KEPT:
                self._ready.get_nowait()
            self._ready.put_nowait(self._group)
        self._group, self._length = [], 0

    async def _settle(self, group: Sequence[Piece]) -> None:
        said = " ".join(piece.segment.text for piece in group)
        busy = is_busy(self._engine.pressure())
        if busy and _is_sure(group):
            self._before = said
            return
        job = DecodeJob(
            samples=joined([piece.samples for piece in group]),
            urgency=Urgency.SETTLE,
            deadline=self._clock.monotonic() + PATIENCE_S,
            language=group[0].segment.language,
            previous_text=self._before,
            keywords=self._keywords,
            want_words=True,
            careful=not busy,
        )
        try:
            decoded = await self._engine.decode(job)
        except EngineError:
            decoded = None
        if decoded is None or is_invented(decoded) or not _as_long(decoded, said):
            self._before = said
            return
        self._before = decoded.text
        if decoded.text != said:
            self._out.put_nowait(
                Revision(
                    leg=self._leg,
                    replaces=tuple(piece.segment.segment for piece in group),
                    segments=tuple(shared_out(group, decoded)),
                )
            )


def _is_sure(group: Sequence[Piece]) -> bool:
    return all(piece.segment.words and min(word.confidence for word in piece.segment.words) >= SURE for piece in group)


def _as_long(decoded: Decoded, said: str) -> bool:
    return bool(decoded.words) and len(decoded.text.split()) >= SHRUNK * len(said.split())


def shared_out(group: Sequence[Piece], decoded: Decoded) -> list[Segment]:
    """Give each word back to the stretch of speech it was said in, with that stretch's clock and number."""
    segments = []
    begin = 0
    words = list(decoded.words)
    for index, piece in enumerate(group):
        end = begin + len(piece)
        last = index == len(group) - 1
        mine = [word for word in words if last or (word.start + word.end) // 2 < end + GAP // 2]
        words = words[len(mine) :]
        if mine:
            segments.append(_segment(piece, mine, piece.start - begin, decoded))
        begin = end + GAP
    return segments


def _segment(piece: Piece, words: Sequence[DecodedWord], shift: int, decoded: Decoded) -> Segment:
    before = piece.segment
    return Segment(
        leg=before.leg,
        segment=before.segment,
        start_ms=before.start_ms,
        end_ms=before.end_ms,
        text=words_joined(words),
        language=decoded.language,
        confidence=round(sum(word.probability for word in words) / len(words), 3),
        words=tuple(placed(word, shift, before.start_ms, before.end_ms) for word in words),
        speaker=before.speaker,
    )


def placed(word: DecodedWord, shift: int, earliest_ms: int, latest_ms: int) -> Word:
    """A word on its leg's clock, `shift` samples from the decode's, kept inside its segment."""
    start = min(max(to_ms(word.start + shift), earliest_ms), latest_ms)
    return Word(
        word=word.text,
        start_ms=start,
        end_ms=min(max(to_ms(word.end + shift), start), latest_ms),
        confidence=round(word.probability, 3),
    )
