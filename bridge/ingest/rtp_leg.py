"""One source's RTP packets as audio: in order, with what was lost named, silence where none was sent, and keys."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from bridge.ingest.rtp_formats import Audio, Payload, Signal
from bridge.model.stream import Discarded, DtmfDigit, Encoding, Leg, MediaChunk, StreamItem
from callcodecs import open_decoder
from callcodecs.errors import MalformedPacketError
from callcodecs.jitter import ReorderBuffer, ReorderCounts
from callcodecs.rtp import RtpPacket
from callcodecs.silence import FRAME_MS, silent_frame
from callcodecs.telephone_event import TelephoneEvent

LOST: Final = "lost"
HELD: Final = "held"

PATIENCE_MS: Final = 500
"""How much later audio is held for a packet that is missing. As much is held at a source's start, to find its first."""
JITTER_MS: Final = 40
"""Steps of the timestamp below this are left to the audio behind, which keeps the count of samples as its ruler."""
LONGEST_STEP_MS: Final = 60_000
"""A step of the timestamp further than this is believed only when as much time has passed."""
SHORTEST_STEP_MS: Final = -1_000
"""A step further back than this: the sender has begun to count anew."""
PRESSES: Final = 16
"""Keys remembered, so that their packets may come late."""
LONGEST_EVENT: Final = 0xFFFF
"""Ticks of one event; a key held for longer goes on in another (RFC 4733 §2.5.1.3)."""


@dataclass(slots=True)
class LegCounts:
    """What became of a leg's packets."""

    received: int = 0
    malformed: int = 0
    strangers: int = 0
    """From other addresses than the leg's."""
    unread: int = 0
    """Of a payload type that is unknown, or that is not the call's codec."""
    missing: int = 0
    late: int = 0
    duplicate: int = 0


class Timeline:
    """Where legs begin. The first one begins the stream; the others by the time at which they came."""

    def __init__(self) -> None:
        self._origin_s: float | None = None

    def place_ms(self, began_s: float) -> float:
        """Less than `JITTER_MS` apart is the network's doing: such legs begin together."""
        if self._origin_s is None:
            self._origin_s = began_s
        behind_ms = (began_s - self._origin_s) * 1000
        return behind_ms if behind_ms >= JITTER_MS else 0.0


@dataclass(frozen=True, slots=True)
class _Arrival:
    packet: RtpPacket
    payload: Payload
    at_s: float


class RtpLeg:
    """Packets of one leg in, values out; `at_s` is any clock that never goes back. Nothing a packet holds is an error.

    Of several legs in one payload (see MediaFormat) each gets every chunk and every gap. A synchronisation source
    (SSRC) that changes goes on in the same leg: a transfer, music on hold.
    """

    def __init__(self, legs: Sequence[Leg], audio: Audio, timeline: Timeline) -> None:
        self._leg, *self._others = legs
        self._audio = audio
        self._timeline = timeline
        self._measure = open_decoder(audio.media_format.encoding, audio.media_format.sample_rate)
        """Asked for lengths alone."""
        self._order: ReorderBuffer[_Arrival] = ReorderBuffer(PATIENCE_MS)
        self._settled_counts = ReorderCounts()
        """Of the sources before."""
        self._opening: list[_Arrival] = []
        self._opening_ms = 0
        self._open = False
        self.ssrc: int | None = None
        self._candidate: _Arrival | None = None
        """The first packet of what may be the next source: a second has to follow it (RFC 3550 §A.1)."""
        self._before: tuple[int, int] | None = None
        """The source before this one, and its latest sequence number: what comes of it late is no change back."""
        self._latest_sequence = 0
        self._ticks: int | None = None
        """The last timestamp as on the wire."""
        self._time_ms = 0.0
        """What it means, since the stream's start."""
        self._at_s = 0.0
        """When its packet came."""
        self._due_ms = 0.0
        """Behind the last sample."""
        self._usual_ms = float(FRAME_MS)
        self._number = 0
        self._source_number = 1
        """Of the source's first chunk."""
        self._presses: deque[tuple[int, int]] = deque(maxlen=PRESSES)
        self._held_key: tuple[int, int] | None = None
        """The last press, as long as its end has not been told."""
        self._resumed = False
        """Nothing was to be sent until now: what is missing before the next packet was held back."""
        self.malformed = 0
        """Keys that cannot be read."""

    @property
    def order_counts(self) -> ReorderCounts:
        now, before = self._order.counts, self._settled_counts
        return ReorderCounts(
            missing=now.missing + before.missing,
            late=now.late + before.late,
            duplicate=now.duplicate + before.duplicate,
            stray=now.stray + before.stray,
        )

    def receive(self, packet: RtpPacket, payload: Payload, at_s: float) -> list[StreamItem]:
        """What can be heard now: its chunks are in order, and numbered without holes."""
        arrival = _Arrival(packet, payload, at_s)
        if self.ssrc is None:
            self.ssrc = packet.ssrc
        elif packet.ssrc != self.ssrc:
            return self._of_all(self._another_source(arrival))
        self._candidate = None
        return self._of_all(self._arrived(arrival))

    def resume(self) -> None:
        """The sender was on hold and goes on."""
        self._resumed = True

    def flush(self) -> list[StreamItem]:
        """All that waits."""
        return self._of_all(self._settled())

    def _of_all(self, items: list[StreamItem]) -> list[StreamItem]:
        """What is said of the first leg, of all; but a key is pressed once."""
        if not self._others:
            return items
        return [each for item in items for each in (item, *self._as_others(item))]

    def _as_others(self, item: StreamItem) -> list[StreamItem]:
        if not isinstance(item, MediaChunk | Discarded):
            return []
        return [replace(item, leg=leg) for leg in self._others]

    def _settled(self) -> list[StreamItem]:
        return [*self._opened(), *self._in_order(self._order.flush())]

    # -- sources and order -----------------------------------------------------------------------------------------

    def _another_source(self, arrival: _Arrival) -> list[StreamItem]:
        packet, candidate = arrival.packet, self._candidate
        if (
            self._before is not None
            and packet.ssrc == self._before[0]
            and _ahead(self._before[1], packet.sequence) <= 0
        ):
            return []
        self._candidate = arrival
        if candidate is None or candidate.packet.ssrc != packet.ssrc:
            return []
        if _ahead(candidate.packet.sequence, packet.sequence) not in {-1, 1}:
            return []
        self._candidate = None
        items = self._settled()
        self._begin_source(packet.ssrc)
        return [*items, *self._arrived(candidate), *self._arrived(arrival)]

    def _begin_source(self, ssrc: int) -> None:
        if self.ssrc is not None:
            self._before = (self.ssrc, self._latest_sequence)
        self._settled_counts = self.order_counts
        self._order = ReorderBuffer(PATIENCE_MS)
        self._open = False
        self._ticks = None
        self._presses.clear()
        self._held_key = None
        self.ssrc = ssrc

    def _arrived(self, arrival: _Arrival) -> list[StreamItem]:
        is_first = not self._opening and not self._open
        if is_first or _ahead(self._latest_sequence, arrival.packet.sequence) > 0:
            self._latest_sequence = arrival.packet.sequence
        if self._open:
            return self._put(arrival)
        self._opening.append(arrival)
        self._opening_ms += self._length_ms(arrival)
        waited_s = arrival.at_s - self._opening[0].at_s
        return self._opened() if max(self._opening_ms, 1000 * waited_s) > PATIENCE_MS else []

    def _opened(self) -> list[StreamItem]:
        """The source's first packets, the earliest first, wherever it came in."""
        if not self._opening:
            return []
        held, self._opening, self._opening_ms = self._opening, [], 0
        self._open = True
        reference = held[0].packet
        held.sort(key=lambda arrival: _ahead(reference.sequence, arrival.packet.sequence))
        first = held[0].packet
        began_s = min(
            arrival.at_s - _ahead_of(first.timestamp, arrival.packet.timestamp) / self._audio.clock_rate
            for arrival in held
        )
        self._time_ms = max(self._due_ms, self._timeline.place_ms(began_s))
        if not self._number:  # before it begins, a leg is not silent but not there
            self._due_ms = self._time_ms
        self._ticks, self._at_s = first.timestamp, held[0].at_s
        self._source_number = self._number + 1
        return [item for arrival in held for item in self._put(arrival)]

    def _put(self, arrival: _Arrival) -> list[StreamItem]:
        before = self._order.before_first(arrival.packet.sequence)
        if before and not isinstance(arrival.payload, Signal):  # too late to be heard; its number says what it is
            sequence = self._source_number - before
            return [MediaChunk(leg=self._leg, payload=arrival.packet.payload, sequence=sequence)]
        return self._in_order(self._order.push(arrival.packet.sequence, self._length_ms(arrival), arrival))

    def _in_order(self, released: Sequence[tuple[int, _Arrival]]) -> list[StreamItem]:
        items: list[StreamItem] = []
        lost = 0
        for missing, arrival in released:
            lost += missing
            match arrival.payload:
                case Signal.NOISE:  # silence, as is everything that is not sent: told by the next timestamp
                    pass
                case Signal.KEYS:
                    items += self._key(arrival.packet)
                case _:
                    items += self._speech(lost, arrival)
                    lost = 0
        return items

    # -- time ------------------------------------------------------------------------------------------------------

    def _speech(self, lost: int, arrival: _Arrival) -> list[StreamItem]:
        packet = arrival.packet
        length_ms = 1000 * self._measure.count(packet.payload) / self._measure.sample_rate
        passed_ms = 1000 * (arrival.at_s - self._at_s)
        time_ms = self._clocked_ms(packet.timestamp, arrival.at_s, lost)
        step_ms = time_ms - self._due_ms
        items: list[StreamItem] = []
        if self._resumed:
            self._resumed = False
            held_ms = max(step_ms, passed_ms - self._usual_ms)  # a clock may stand still on hold
            if held_ms >= JITTER_MS:
                items.append(Discarded(leg=self._leg, missing_ms=held_ms, reason=HELD))
                self._due_ms += held_ms
                self._time_ms = time_ms = self._due_ms
                step_ms = 0.0
        if lost and (lost_ms := min(step_ms, lost * self._usual_ms)) > 0:
            items.append(Discarded(leg=self._leg, missing_ms=lost_ms, reason=LOST))
            self._due_ms += lost_ms
            step_ms -= lost_ms
        if step_ms >= JITTER_MS:
            items += self._silence(step_ms)
        items.append(self._chunk(packet.payload, time_ms))
        self._due_ms = time_ms + length_ms
        self._usual_ms = length_ms or self._usual_ms
        return items

    def _clocked_ms(self, ticks: int, at_s: float, lost: int) -> float:
        """The timestamp as time since the stream's start, over its wrap-around and where the sender counts anew."""
        before = ticks if self._ticks is None else self._ticks
        time_ms = self._time_ms + 1000 * _ahead_of(before, ticks) / self._audio.clock_rate
        step_ms = time_ms - self._due_ms
        passed_ms = 1000 * (at_s - self._at_s)
        if not SHORTEST_STEP_MS <= step_ms <= max(LONGEST_STEP_MS, passed_ms):
            time_ms = self._due_ms + lost * self._usual_ms
        self._ticks, self._time_ms, self._at_s = ticks, time_ms, at_s
        return time_ms

    def _silence(self, length_ms: float) -> list[StreamItem]:
        """As long as it is; of Opus, which has no shorter payloads, whole frames."""
        frame = silent_frame(self._audio.media_format.encoding, self._audio.media_format.sample_rate)
        count, rest_ms = divmod(length_ms, FRAME_MS)
        frames = [frame] * int(count)
        if self._audio.media_format.encoding is not Encoding.OPUS:
            frames.append(frame[: round(rest_ms * len(frame) / FRAME_MS) & ~1])
        return [self._chunk(part, self._due_ms + n * FRAME_MS) for n, part in enumerate(frames) if part]

    def _chunk(self, payload: bytes, time_ms: float) -> MediaChunk:
        self._number += 1
        return MediaChunk(leg=self._leg, payload=payload, sequence=self._number, timestamp_ms=max(0.0, time_ms))

    def _length_ms(self, arrival: _Arrival) -> int:
        if isinstance(arrival.payload, Signal):
            return FRAME_MS
        return self._measure.count(arrival.packet.payload) * 1000 // self._measure.sample_rate

    # -- keys ------------------------------------------------------------------------------------------------------

    def _key(self, packet: RtpPacket) -> list[StreamItem]:
        """A press is told by its first packet: all others have its timestamp, however often they come."""
        try:
            event = TelephoneEvent.parse(packet.payload)
        except MalformedPacketError:
            self.malformed += 1
            return []
        press = (packet.timestamp, event.event)
        known = press in self._presses or self._goes_on(packet, event)
        self._held_key = None if event.end else press
        if known or event.key is None:
            return []
        self._presses.append(press)
        return [DtmfDigit(leg=self._leg, digit=event.key)]

    def _goes_on(self, packet: RtpPacket, event: TelephoneEvent) -> bool:
        """Whether a key that is held for very long goes on under another timestamp."""
        if self._held_key is None or packet.marker or self._held_key[1] != event.event:
            return False
        return 0 < _ahead_of(self._held_key[0], packet.timestamp) <= LONGEST_EVENT


def _ahead(expected: int, sequence: int) -> int:
    """By how much a 16-bit number lies ahead of another, over the wrap-around."""
    return ((sequence - expected + 0x8000) & 0xFFFF) - 0x8000


def _ahead_of(before: int, ticks: int) -> int:
    """The same of 32-bit timestamps."""
    return ((ticks - before + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000
