"""One audio track as RTP packets (RFC 3550) → the values of every carrier: packets in, values out."""

from __future__ import annotations

from typing import Final

from bridge.errors import CarrierProtocolError
from bridge.model.stream import DtmfDigit, Leg, MediaChunk, StreamItem
from callcodecs.errors import MalformedPacketError
from callcodecs.rtp import RtpPacket
from callcodecs.telephone_event import TelephoneEvent

MOST_SOURCES: Final = 16
"""A track that changes its source more often than this is none: every one costs memory beneath us."""


class RtpTrack:
    """Order and gaps are left to `LegAudio`, which gets the packets' own numbers and times, made to go on for ever."""

    def __init__(self, legs: tuple[Leg, ...], *, clock_rate: int, payload_type: int, keys: int | None) -> None:
        """`keys` is the payload type of telephone-event. Of two legs each gets every packet: see MediaFormat."""
        self._legs = legs
        self._clock_rate = clock_rate
        self._payload_type = payload_type
        self._keys = keys
        self._source: int | None = None
        self._sources = 0
        self._sequence = self._timestamp = 0
        """As on the wire, of the packet that is furthest on."""
        self._number = 0
        """Its number since the track's first packet."""
        self._ticks = 0
        """Its time since then, by the RTP clock."""
        self._step = clock_rate // 50
        """By how much the clock goes on from one packet to the next."""
        self._pressed: int | None = None
        """The timestamp of the key that was told last: all packets of one press have the same."""

    def receive(self, packet: RtpPacket) -> list[StreamItem]:
        """Raises CarrierProtocolError."""
        if packet.ssrc != self._source:
            self._begin(packet)
        number = self._number + _signed(packet.sequence - self._sequence, 16)
        ticks = self._ticks + _signed(packet.timestamp - self._timestamp, 32)
        if number > self._number:
            if number == self._number + 1 and ticks > self._ticks:
                self._step = ticks - self._ticks
            self._sequence, self._timestamp = packet.sequence, packet.timestamp
            self._number, self._ticks = number, ticks
        if ticks < 0 or number < 0:  # from before the first packet that came: it has no place
            return []
        is_key = packet.payload_type == self._keys
        if not is_key and packet.payload_type != self._payload_type:
            return []
        # A key takes audio's place and audio's numbers: an empty chunk says that nothing is missing.
        payload = b"" if is_key else packet.payload
        at_ms = ticks * 1000 / self._clock_rate
        chunks: list[StreamItem] = [
            MediaChunk(leg=leg, payload=payload, sequence=number, timestamp_ms=at_ms) for leg in self._legs
        ]
        return [*chunks, *self._key(packet)] if is_key else chunks

    def _begin(self, packet: RtpPacket) -> None:
        """The track's first source; or a new one, which goes on right behind the last (RFC 3550 §8.2)."""
        self._sources += 1
        if self._sources > MOST_SOURCES:
            raise CarrierProtocolError(f"more than {MOST_SOURCES} sources in one track")
        if self._source is not None:
            self._number += 1
            self._ticks += self._step
        self._source = packet.ssrc
        self._sequence, self._timestamp = packet.sequence, packet.timestamp

    def _key(self, packet: RtpPacket) -> list[StreamItem]:
        try:
            key = TelephoneEvent.parse(packet.payload).key
        except MalformedPacketError:
            return []
        if key is None or packet.timestamp == self._pressed:
            return []
        self._pressed = packet.timestamp
        return [DtmfDigit(leg=self._legs[0], digit=key)]


def _signed(difference: int, bits: int) -> int:
    """A difference of numbers that wrap at 2^`bits`, as the shorter way."""
    half = 1 << (bits - 1)
    return (difference + half) % (1 << bits) - half
