"""Being a sender of plain RTP: the packets of every leg, as `bridge.ingest.rtp` reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from bridge.carrier.audio import FRAME_MS
from bridge.carrier.side import CarrierSide, Dialled, Message, chosen_format
from bridge.model.stream import Encoding, Leg, MediaFormat
from callcodecs.rtcp import bye
from callcodecs.rtp import RtpPacket, is_rtcp
from callcodecs.telephone_event import KEYS, TelephoneEvent

OFFERED: Final[tuple[MediaFormat, ...]] = (
    MediaFormat(encoding=Encoding.PCMU, sample_rate=8000),
    MediaFormat(encoding=Encoding.PCMA, sample_rate=8000),
    MediaFormat(encoding=Encoding.G722, sample_rate=16000),
    MediaFormat(encoding=Encoding.L16_BE, sample_rate=16000),
    MediaFormat(encoding=Encoding.L16_BE, sample_rate=44100),
    MediaFormat(encoding=Encoding.OPUS, sample_rate=48000),
)
TYPES: Final[Mapping[MediaFormat, int]] = dict(zip(OFFERED, (0, 8, 9, 118, 11, 107), strict=True))
"""The payload types that are understood without a word."""

KEYS_TYPE: Final = 101
KEY_STEP_MS: Final = 50
KEY_STEPS: Final = 3
"""A key is held for so many updates, and its end is told as often (RFC 4733 §2.5.1.4)."""
KEY_VOLUME: Final = 10


class RtpSide(CarrierSide):
    """One call as RTP: a source (SSRC) a leg. Where each datagram goes, `destination` tells."""

    offered = OFFERED
    frame_ms = FRAME_MS

    def __init__(self, call: Dialled) -> None:
        self.media_format = chosen_format(call, self.offered)
        self.legs = call.legs
        self.answer: list[bytes] = []
        self._type = TYPES[self.media_format]
        is_g722 = self.media_format.encoding is Encoding.G722
        self._clock_rate = 8000 if is_g722 else self.media_format.sample_rate
        seed = bytes.fromhex(call.stream_id)  # RFC 3550 §5.1: all of them begin anywhere
        self._ssrc = {leg: int.from_bytes(seed[4 * n : 4 * n + 4]) ^ n for n, leg in enumerate(call.legs)}
        self._legs = {ssrc: leg for leg, ssrc in self._ssrc.items()}
        self._sequence = {leg: int.from_bytes(seed[8 + 2 * n : 10 + 2 * n]) for n, leg in enumerate(call.legs)}
        self._origin = int.from_bytes(seed[12:16])
        self._at_ms = 0
        self._begun: set[Leg] = set()

    def headers(self, _url: str) -> Mapping[str, str]:
        """None: there is no upgrade."""
        return {}

    def opening(self) -> Sequence[bytes]:
        """Nothing: speech comes at once."""
        return []

    def media(self, at_ms: int, payloads: Mapping[Leg, bytes]) -> Sequence[bytes]:
        self._at_ms = at_ms
        packets = []
        for leg, payload in payloads.items():
            packets.append(self._packet(leg, payload, self._type, at_ms, marker=leg not in self._begun))
            self._begun.add(leg)
        return packets

    def key(self, leg: Leg, digit: str) -> Sequence[bytes]:
        """The whole press: its beginning marked, updates, and its end three times over."""
        step = KEY_STEP_MS * self._clock_rate // 1000
        durations = [step * min(n + 1, KEY_STEPS) for n in range(2 * KEY_STEPS)]
        return [
            self._packet(leg, self._event(digit, duration, end=n >= KEY_STEPS), KEYS_TYPE, self._at_ms, marker=n == 0)
            for n, duration in enumerate(durations)
        ]

    def closing(self) -> Sequence[bytes]:
        """RTCP BYE of every leg."""
        return [bye(self._ssrc[leg]) for leg in self.legs]

    def hear(self, message: Message) -> Sequence[bytes]:
        """Play what comes back, as it comes."""
        if isinstance(message, bytes) and not is_rtcp(message):
            self.hear_packet(RtpPacket.parse(message))
        return []

    def hear_packet(self, packet: RtpPacket) -> None:
        """The same, of one that has been read."""
        if packet.payload_type == self._type:
            self.answer.append(packet.payload)

    def destination(self, datagram: bytes) -> tuple[Leg, bool]:
        """Whose port a datagram goes to, and whether to the one for RTCP."""
        control = is_rtcp(datagram)
        at = 4 if control else 8
        return self._legs[int.from_bytes(datagram[at : at + 4])], control

    def _packet(self, leg: Leg, payload: bytes, payload_type: int, at_ms: int, *, marker: bool) -> bytes:
        sequence = self._sequence[leg]
        self._sequence[leg] = (sequence + 1) & 0xFFFF
        return RtpPacket(
            payload_type=payload_type,
            sequence=sequence,
            timestamp=(self._origin + at_ms * self._clock_rate // 1000) & 0xFFFF_FFFF,
            ssrc=self._ssrc[leg],
            payload=payload,
            marker=marker,
        ).serialize()

    def _event(self, digit: str, duration: int, *, end: bool) -> bytes:
        return TelephoneEvent(event=KEYS.index(digit), end=end, volume=KEY_VOLUME, duration=duration).serialize()
