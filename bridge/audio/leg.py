"""One leg of a call: a carrier's chunks in, frames at 16 kHz out. Order, gaps and drift are settled here."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, TypeAlias

from bridge.audio.clock import JUMP, StreamClock
from bridge.audio.decode import decoder_for
from bridge.audio.writer import FrameWriter
from bridge.model.frame import SAMPLE_RATE, AudioFrame, Gap, from_ms
from bridge.model.stream import Discarded, Leg, MediaChunk, MediaFormat
from callcodecs.errors import CorruptPayloadError
from callcodecs.jitter import ReorderBuffer

Heard: TypeAlias = AudioFrame | Gap

LOST: Final = "lost"
CORRUPT: Final = "corrupt"
NOT_SENT: Final = "not_sent"

PATIENCE_MS: Final = 500
"""How much later audio is held for a chunk that is missing: just over the reordering that carriers show."""
JITTER: Final = 40 * SAMPLE_RATE // 1000
"""Timestamps that differ by less from the count of samples are inexact; the count is the better ruler."""
STUCK: Final = SAMPLE_RATE
"""Once so much audio in a row would be dropped as late, it is the timestamps that are wrong: they count no more."""
MOST_NAMED: Final = 64
"""Places in front of a leg's first chunk that are remembered, so that what comes twice is named once."""
LONGEST_PAUSE_MS: Final = 3_600_000
"""A carrier that says it left out more than this is not believed beyond it: the silence has to be heard through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LegCounts:
    """What has become of a leg's chunks so far, for /metrics."""

    received: int
    corrupt: int
    late: int
    duplicate: int
    stray: int
    lost: int
    """Missing in the carrier's own count, and given up."""


class LegAudio:
    """Chunks of one leg → its frames, without holes, and its gaps.

    Numbered chunks may come in any order. Those without a number are taken as they come, unless their timestamps say
    that their time is over.

    Positions agree with the carrier's timestamps (to `JITTER`), or with the count of samples where it sends none.
    Position 0 is the stream's start: a leg that begins late begins with silence, which is no gap. What belongs in front
    of a leg's first chunk and comes behind it is too late to be heard. A gap names it, in its place or at the leg's
    start, where frames have gone out already. After `flush` the frames' length is what was received plus the other
    gaps.
    """

    def __init__(
        self, leg: Leg, media_format: MediaFormat, clock: StreamClock | None = None, *, begins_at: int = 0
    ) -> None:
        """`clock` is shared by the legs of one stream, as is where they begin. Raises UnsupportedMediaError."""
        self._leg = leg
        self._clock = clock or StreamClock(begins_at)
        self._decoder = decoder_for(media_format, leg)
        self._order: ReorderBuffer[MediaChunk] = ReorderBuffer(PATIENCE_MS * self._decoder.sample_rate // 1000)
        self._writer = FrameWriter(leg, self._decoder.sample_rate, begins_at)
        self._begins_at = begins_at
        self._first: int | None = None
        """The position of the first chunk."""
        self._named: deque[tuple[int, int]] = deque(maxlen=MOST_NAMED)
        """What is missing in front of it, because it came behind it."""
        self._previous: MediaChunk | None = None
        self._usual = 0
        """How long the last chunk was, at 16 kHz: the guess for one that never came."""
        self._absent = 0
        """How much is known to be missing before the next chunk, by count, at 16 kHz."""
        self._reason = ""
        self._timed = True
        self._overdue = 0
        """Audio dropped in a row because its timestamps say that it is late, at 16 kHz."""
        self._received = self._corrupt = self._late = self._duplicate = 0

    @property
    def counts(self) -> LegCounts:
        ordered = self._order.counts
        return LegCounts(
            received=self._received,
            corrupt=self._corrupt,
            late=self._late + ordered.late,
            duplicate=self._duplicate + ordered.duplicate,
            stray=ordered.stray,
            lost=ordered.missing,
        )

    @property
    def position(self) -> int:
        """Behind the last sample that came, whether it has gone on in a frame yet or not."""
        return self._writer.due

    def push(self, item: MediaChunk | Discarded) -> list[Heard]:
        """What can be heard now. Nothing that a chunk holds is an error: at worst it is counted and makes a gap."""
        if isinstance(item, Discarded):
            return self._left_out(item)
        self._received += 1
        if item.sequence is None:
            return self._next(0, item)
        if before := self._order.before_first(item.sequence):
            named = self._name(item, before)
            self._late += len(named)
            self._duplicate += not named
            return named
        heard: list[Heard] = []
        for missing, chunk in self._order.push(item.sequence, self._decoder.count(item.payload), item):
            heard += self._next(missing, chunk)
        return heard

    def flush(self) -> list[Heard]:
        """All that is still held, to the last sample. Chunks that follow all the same go on from there."""
        return [*self._settle(), *self._writer.drain()]

    def _next(self, missing: int, chunk: MediaChunk) -> list[Heard]:
        """The chunk that is next in order, after `missing` that never came."""
        due = self._writer.due
        said = self._clock.position(chunk.timestamp_ms, due) if self._timed else None
        if chunk.sequence is None and said is not None and self._has_been_heard(chunk, said):
            return self._name(chunk, 1) if said < (self._first or 0) else []
        if missing:
            self._decoder.lost()
            self._miss(missing * self._usual, LOST)
        try:
            samples = self._decoder.decode(chunk.payload)
        except CorruptPayloadError:
            self._corrupt += 1
            self._miss(self._length(chunk) or self._usual, CORRUPT)
            return []
        heard = self._make_up(chunk, said, due)
        if self._first is None:
            self._first = self._writer.due
        heard += self._writer.write(samples)
        self._usual = len(samples) * SAMPLE_RATE // self._decoder.sample_rate or self._usual
        self._previous = chunk
        return heard

    def _make_up(self, chunk: MediaChunk, said: int | None, due: int) -> list[Heard]:
        """Silence for what is missing before this chunk, by the carrier's time or else by count."""
        absent, self._absent = self._absent, 0
        skipped = None if said is None else said - due
        if skipped is not None and self._previous is None and not absent:
            return [*self._writer.silence(skipped)] if skipped > 0 else []
        if skipped is None or skipped < 0 or abs(skipped - absent) < JITTER:
            silence = absent if absent <= JUMP else 0
        else:
            silence = skipped
        if not silence:
            return []
        if absent:
            return self._gap(silence, self._reason)
        return self._gap(silence, LOST if chunk.sequence is None else NOT_SENT)

    def _name(self, chunk: MediaChunk, before: int) -> list[Heard]:
        """A chunk that belongs in front of the first one, whose place has gone by: it is missing, and with it those
        between the two, `before` of them in all. Nothing where that has been said.
        """
        length = self._length(chunk)
        first = self._writer.due if self._first is None else self._first
        place = self._clock.place(chunk.timestamp_ms) if self._timed else None
        if place is None or not self._begins_at <= place < self._writer.due:
            place = first - before * length
        if not length or any(start <= place < end for start, end in self._named):
            return []
        end = min([place + before * length, *(start for start, _ in self._named if start > place)])
        self._named.append((place, end))
        return [Gap(leg=self._leg, position=max(place, self._begins_at), samples=end - place, reason=LOST)]

    def _has_been_heard(self, chunk: MediaChunk, said: int) -> bool:
        """Whether an unnumbered chunk lies behind what was written, or is the last one again. Counts it if so."""
        length = self._length(chunk)
        late = said + length <= self._writer.due - JITTER
        if not late and not _same(chunk, self._previous):
            self._overdue = 0
            return False
        self._overdue += length
        if self._overdue > STUCK:
            self._timed = False
            return False
        if late:
            self._late += 1
        else:
            self._duplicate += 1
        return True

    def _left_out(self, item: Discarded) -> list[Heard]:
        heard = self._settle()
        missing = from_ms(min(item.missing_ms, LONGEST_PAUSE_MS)) if item.missing_ms > 0 else 0
        if missing:
            heard += self._gap(missing, item.reason)
        return heard

    def _settle(self) -> list[Heard]:
        """What is held in wait for missing chunks, and what is missing behind the last one."""
        heard: list[Heard] = []
        for missing, chunk in self._order.flush():
            heard += self._next(missing, chunk)
        if self._absent:
            heard += self._gap(self._absent, self._reason)
            self._absent = 0
        return heard

    def _gap(self, count: int, reason: str) -> list[Heard]:
        frames = self._writer.drain()
        gap = Gap(leg=self._leg, position=self._writer.due, samples=count, reason=reason)
        return [*frames, gap, *self._writer.silence(count)]

    def _miss(self, count: int, reason: str) -> None:
        if reason == LOST or not self._absent:
            self._reason = reason
        self._absent += count

    def _length(self, chunk: MediaChunk) -> int:
        return self._decoder.count(chunk.payload) * SAMPLE_RATE // self._decoder.sample_rate


def _same(chunk: MediaChunk, previous: MediaChunk | None) -> bool:
    return previous is not None and chunk.timestamp_ms == previous.timestamp_ms and chunk.payload == previous.payload
