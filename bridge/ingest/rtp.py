"""Plain RTP (RFC 3550, 3551, 4733, 3389), a leg a port, without its sockets: datagrams in, values out.

Nobody says what comes: the call begins with the first packet that can be read, and its codec is what was asked for or
what that packet's payload type says. It ends with RTCP BYE, or by what its owner decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from bridge.ingest.rtp_formats import Audio, Payload, PayloadTypes, Signal
from bridge.ingest.rtp_leg import LegCounts, RtpLeg, Timeline
from bridge.model.stream import Leg, StreamItem, StreamStarted, StreamStopped
from callcodecs.errors import MalformedPacketError
from callcodecs.rtcp import goodbyes
from callcodecs.rtp import RtpPacket, is_rtcp

Address: TypeAlias = tuple[str, int]
"""Host and UDP port of a sender."""

UNREAD_KEPT: Final = 8
"""Different payload types remembered for the message that says what came instead of speech."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A call about to come in over RTP."""

    carrier: str
    carrier_call_id: str
    stream_id: str
    legs: tuple[Leg, ...]
    payload_types: Mapping[Leg, PayloadTypes]
    parameters: Mapping[str, str] = field(default_factory=dict)
    may_send: Callable[[str], bool] = lambda _host: True
    """Whether media may come from a host at all."""


class _Port:
    """What is known of one leg's port."""

    def __init__(self, payload_types: PayloadTypes) -> None:
        self.payload_types = payload_types
        self.source: Address | None = None
        self.hearing: RtpLeg | None = None
        self.left = False
        self.counts = LegCounts()


class RtpStream:
    """One call. A leg belongs to the first address that sends it a packet which can be read; others are not heard."""

    def __init__(self, expected: Expected) -> None:
        self._expected = expected
        self._timeline = Timeline()
        self._ports = {leg: _Port(expected.payload_types[leg]) for leg in expected.legs}
        self.audio: Audio | None = None
        """The call's codec, once it has begun."""
        self.payload_type = 0
        """Under which it came first."""
        self.stopped = False
        self.heard_at_s: float | None = None
        """When the last packet came that is of this call."""
        self.unread_types: set[int] = set()

    def counts(self, leg: Leg) -> LegCounts:
        """So far."""
        port = self._ports[leg]
        if port.hearing is None:
            return port.counts
        order = port.hearing.order_counts
        return replace(
            port.counts,
            malformed=port.counts.malformed + port.hearing.malformed,
            missing=order.missing,
            late=order.late,
            duplicate=order.duplicate,
        )

    def source(self, leg: Leg) -> Address | None:
        """Whose the leg is; None as long as nobody's."""
        return self._ports[leg].source

    def expect(self, leg: Leg, payload_types: PayloadTypes) -> None:
        """It was agreed anew how a leg is sent; from where is to be seen again."""
        port = self._ports[leg]
        port.payload_types, port.source = payload_types, None

    def resume(self, leg: Leg) -> None:
        """A leg that was on hold is sent again: what was held back is named as a gap."""
        hearing = self._ports[leg].hearing
        if hearing is not None:
            hearing.resume()

    def receive(self, leg: Leg, datagram: bytes, source: Address, at_s: float) -> list[StreamItem]:
        """What a datagram on a leg's RTP port says; RTCP may come on it too (RFC 5761). Never raises."""
        if self.stopped:
            return []
        if is_rtcp(datagram):
            return self.control(leg, datagram, source, at_s)
        port = self._ports[leg]
        read = self._read(port, datagram, source)
        if read is None:
            return []
        packet, payload = read
        items = self._begin(payload, packet.payload_type)
        port.source, port.left = source, False
        port.counts.received += 1
        self.heard_at_s = at_s
        if self.audio is None:  # keys or noise, ahead of the first word
            return []
        if port.hearing is None:
            port.hearing = RtpLeg((leg,), self.audio, self._timeline)
        return [*items, *port.hearing.receive(packet, payload, at_s)]

    def control(self, leg: Leg, datagram: bytes, source: Address, at_s: float) -> list[StreamItem]:
        """What a datagram on a leg's RTCP port says. When all legs that were heard have left, the call is over."""
        port = self._ports[leg]
        if self.stopped or port.hearing is None or port.source is None or source[0] != port.source[0]:
            return []
        try:
            leaving = goodbyes(datagram)
        except MalformedPacketError:
            port.counts.malformed += 1
            return []
        self.heard_at_s = at_s
        if port.hearing.ssrc in leaving:
            port.left = True
        if any(port.hearing is not None and not port.left for port in self._ports.values()):
            return []
        return self.stop("hangup")

    def stop(self, reason: str) -> list[StreamItem]:
        """The call is over: what was held, and its end if it had begun. Once."""
        if self.stopped:
            return []
        self.stopped = True
        held = [item for port in self._ports.values() if port.hearing is not None for item in port.hearing.flush()]
        return held if self.audio is None else [*held, StreamStopped(reason=reason)]

    def _read(self, port: _Port, datagram: bytes, source: Address) -> tuple[RtpPacket, Payload] | None:
        """A packet of this call; None for any other, which is counted."""
        try:
            packet = RtpPacket.parse(datagram)
        except MalformedPacketError:
            port.counts.malformed += 1
            return None
        if source != (port.source or source) or not self._expected.may_send(source[0]):
            port.counts.strangers += 1
            return None
        payload = port.payload_types.of(packet.payload_type)
        if payload is None or self._is_of_another_codec(payload):
            port.counts.unread += 1
            if len(self.unread_types) < UNREAD_KEPT:
                self.unread_types.add(packet.payload_type)
            return None
        return packet, payload

    def _is_of_another_codec(self, payload: Payload) -> bool:
        return isinstance(payload, Audio) and self.audio is not None and payload != self.audio

    def _begin(self, payload: Payload, payload_type: int) -> list[StreamItem]:
        """The call's start, with the first packet of speech."""
        if self.audio is not None or isinstance(payload, Signal):
            return []
        self.audio, self.payload_type = payload, payload_type
        return [
            StreamStarted(
                carrier=self._expected.carrier,
                carrier_call_id=self._expected.carrier_call_id,
                stream_id=self._expected.stream_id,
                legs=self._expected.legs,
                media_format=payload.media_format,
                parameters=self._expected.parameters,
            )
        ]
