"""Being Asterisk: an AudioSocket, as `bridge.ingest.audiosocket` reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from bridge.carrier.audio import FRAME_MS
from bridge.carrier.side import CarrierSide, Dialled, Message, chosen_format
from bridge.ingest.audiosocket import HEADER, KINDS, Kind, packet
from bridge.model.stream import Encoding, Leg, MediaFormat


class AudioSocketSide(CarrierSide):
    """One call: the caller alone, or all parties mixed. Its UUID is the call's id; parameters cannot be carried."""

    offered = tuple(MediaFormat(encoding=Encoding.L16_LE, sample_rate=rate) for rate in KINDS)
    frame_ms = FRAME_MS

    def __init__(self, call: Dialled) -> None:
        self.legs = call.legs[:1]
        self.media_format = chosen_format(call, self.offered)
        self.answer: list[bytes] = []
        self._uuid = UUID(call.carrier_call_id)
        self._kind = KINDS[self.media_format.sample_rate]

    def headers(self, _url: str) -> Mapping[str, str]:
        """None: there is no HTTP."""
        return {}

    def opening(self) -> Sequence[bytes]:
        return [packet(Kind.UUID, self._uuid.bytes)]

    def media(self, _at_ms: int, payloads: Mapping[Leg, bytes]) -> Sequence[bytes]:
        return [packet(self._kind, payload) for payload in payloads.values()]

    def key(self, _leg: Leg, digit: str) -> Sequence[bytes]:
        return [packet(Kind.DTMF, digit.encode())]

    def hear(self, message: Message) -> Sequence[bytes]:
        """Play what comes back, the silence between two words included."""
        if isinstance(message, bytes) and message[0] == self._kind:
            self.answer.append(message[HEADER.size :])
        return []

    def closing(self) -> Sequence[bytes]:
        """Nothing: the connection closes."""
        return []
