"""Being Vonage: a WebSocket endpoint of the Voice API, as `bridge.ingest.vonage` reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from bridge.carrier.audio import FRAME_MS
from bridge.carrier.side import CarrierSide, Dialled, Message, chosen_format
from bridge.ingest.vonage_signature import bearer
from bridge.model.stream import Encoding, Leg, MediaFormat

KEY_MS: Final = 260

OFFERED: Final[tuple[MediaFormat, ...]] = tuple(
    MediaFormat(encoding=Encoding.L16_LE, sample_rate=rate) for rate in (16000, 8000, 24000)
)


class VonageSide(CarrierSide):
    """One call, as Vonage tells it: the mix of both parties."""

    offered = OFFERED
    frame_ms = FRAME_MS
    legs: tuple[Leg, ...] = (Leg.MIXED,)

    def __init__(self, call: Dialled) -> None:
        self._call = call
        self.media_format = chosen_format(call, self.offered)
        self.answer: list[bytes] = []

    def headers(self, _url: str) -> Mapping[str, str]:
        """`authorization` of the endpoint: Vonage's own JWT, or the customer's token."""
        if self._call.secret is not None:
            return {"Authorization": bearer(self._call.secret, now=self._call.placed_at, jti=self._call.stream_id)}
        return {} if self._call.token is None else {"Authorization": f"Bearer {self._call.token}"}

    def opening(self) -> Sequence[str]:
        content_type = f"audio/l16;rate={self.media_format.sample_rate}"
        connected = {"event": "websocket:connected", "content-type": content_type}
        return [json.dumps({"uuid": self._call.carrier_call_id, **self._call.parameters, **connected})]

    def media(self, _at_ms: int, payloads: Mapping[Leg, bytes]) -> Sequence[bytes]:
        return list(payloads.values())

    def key(self, _leg: Leg, digit: str) -> Sequence[str]:
        return [json.dumps({"event": "websocket:dtmf", "digit": digit, "duration": KEY_MS})]

    def hear(self, message: Message) -> Sequence[str]:
        """Play what comes back."""
        if isinstance(message, bytes):
            self.answer.append(message)
            return []
        return [json.dumps({"event": "websocket:cleared"})] if json.loads(message)["action"] == "clear" else []

    def closing(self) -> Sequence[str]:
        """Nothing: the socket closes."""
        return []
