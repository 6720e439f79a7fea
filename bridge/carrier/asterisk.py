"""Being Asterisk: a channel of its WebSocket driver, as `bridge.ingest.asterisk` hears it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from bridge.carrier.audio import FRAME_MS
from bridge.carrier.side import CarrierSide, Dialled, Message, chosen_format
from bridge.ingest.asterisk import FORMATS, START
from bridge.model.stream import Encoding, Leg

USER: Final = "callbridge"
"""Of HTTP Basic; only the password counts."""

NAMES: Final = {media_format: name for name, media_format in FORMATS.items()}

FRAME_BYTES: Final[Mapping[Encoding, int]] = {
    **dict.fromkeys((Encoding.PCMU, Encoding.PCMA, Encoding.G722), 160),
    Encoding.OPUS: 10,
}
"""What Asterisk calls optimal, of encodings whose frames do not grow with the rate."""


class AsteriskSide(CarrierSide):
    """One channel, whose events come as JSON: the caller alone, or all parties mixed."""

    offered = tuple(FORMATS.values())
    frame_ms = FRAME_MS

    def __init__(self, call: Dialled) -> None:
        self._call = call
        self.legs = call.legs[:1]
        self.media_format = chosen_format(call, self.offered)
        self.answer: list[bytes] = []

    def headers(self, _url: str) -> Mapping[str, str]:
        """`username` and `password` of websocket_client.conf."""
        if self._call.token is None:
            return {}
        return {"Authorization": f"Basic {base64.b64encode(f'{USER}:{self._call.token}'.encode()).decode()}"}

    def opening(self) -> Sequence[str]:
        frame_bytes = self.media_format.sample_rate * 2 * FRAME_MS // 1000
        start = {
            "connection_id": str(UUID(hex=self._call.stream_id)),
            "channel": f"WebSocket/callbridge/0x{self._call.stream_id}",
            "format": NAMES[self.media_format],
            "optimal_frame_size": FRAME_BYTES.get(self.media_format.encoding, frame_bytes),
            "ptime": FRAME_MS,
            "channel_variables": {"DIALSTATUS": "ANSWER", **self._call.parameters},
        }
        return [self._tell(START, start)]

    def media(self, _at_ms: int, payloads: Mapping[Leg, bytes]) -> Sequence[bytes]:
        return list(payloads.values())

    def key(self, _leg: Leg, digit: str) -> Sequence[str]:
        return [self._tell("DTMF_END", {"digit": digit})]

    def hear(self, message: Message) -> Sequence[str]:
        """Play what comes back. A mark is reached as soon as it is there."""
        if isinstance(message, bytes):
            self.answer.append(message)
            return []
        body = json.loads(message)
        if body["command"] != "MARK_MEDIA":
            return []
        return [self._tell("MEDIA_MARK_PROCESSED", {"correlation_id": body["correlation_id"]})]

    def closing(self) -> Sequence[str]:
        """Nothing: the socket closes."""
        return []

    def _tell(self, event: str, said: Mapping[str, Any]) -> str:
        return json.dumps({"event": event, "channel_id": self._call.carrier_call_id, **said})
