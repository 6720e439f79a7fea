"""Being Telnyx: the messages of a media stream, as `bridge.ingest.telnyx` reads them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bridge.carrier.audio import FRAME_MS
from bridge.carrier.side import CarrierSide, Dialled, Message, chosen_format
from bridge.model.stream import Encoding, Leg, MediaFormat

TRACKS: Final = {Leg.CALLER: "inbound", Leg.AGENT: "outbound"}

NAMES: Final = {
    MediaFormat(encoding=Encoding.PCMU, sample_rate=8000): ("PCMU", 8000),
    MediaFormat(encoding=Encoding.PCMA, sample_rate=8000): ("PCMA", 8000),
    MediaFormat(encoding=Encoding.G722, sample_rate=16000): ("G722", 8000),  # the RTP clock's rate
    MediaFormat(encoding=Encoding.OPUS, sample_rate=48000): ("OPUS", 48000),
    MediaFormat(encoding=Encoding.L16_BE, sample_rate=16000): ("L16", 16000),
    MediaFormat(encoding=Encoding.L16_LE, sample_rate=16000): ("L16", 16000),
}
"""What a call may be coded in, and how `start` announces it: L16 without its byte order."""


class TelnyxSide(CarrierSide):
    """One call, as Telnyx tells it."""

    offered = tuple(NAMES)
    frame_ms = FRAME_MS

    def __init__(self, call: Dialled) -> None:
        self._call = call
        self.legs = call.legs
        self.media_format = chosen_format(call, self.offered)
        self.answer: list[bytes] = []
        self._ids = {"user_id": "made-up", "call_control_id": f"v3:{call.carrier_call_id}"}
        self._said = 0
        self._chunks = dict.fromkeys(call.legs, 0)

    def headers(self, _url: str) -> Mapping[str, str]:
        """`stream_auth_token`; Telnyx signs webhooks, not the upgrade."""
        return {} if self._call.token is None else {"Authorization": f"Bearer {self._call.token}"}

    def opening(self) -> Sequence[str]:
        encoding, sample_rate = NAMES[self.media_format]
        given = self._call.parameters
        if len(self.legs) == 1:  # which `start` has no field for
            given = {**given, "track": TRACKS[self.legs[0]]}
        start = {
            **self._ids,
            "call_session_id": self._call.carrier_call_id,
            "client_state": None,
            "media_format": {"encoding": encoding, "sample_rate": sample_rate, "channels": 1},
            "custom_parameters": [{"name": name, "value": value} for name, value in given.items()],
        }
        return [json.dumps({"event": "connected", "version": "1.0.0"}), self._tell("start", start)]

    def media(self, at_ms: int, payloads: Mapping[Leg, bytes]) -> Sequence[str]:
        return [self._media(leg, at_ms, payload) for leg, payload in payloads.items()]

    def key(self, _leg: Leg, digit: str) -> Sequence[str]:
        return [self._tell("dtmf", {"digit": digit})]

    def closing(self) -> Sequence[str]:
        return [self._tell("stop", self._ids)]

    def hear(self, message: Message) -> Sequence[str]:
        """Play what comes back. A mark is given back as soon as it is there."""
        body = json.loads(message)
        if body["event"] == "media":
            self.answer.append(base64.b64decode(body["media"]["payload"]))
        return [self._tell("mark", body["mark"])] if body["event"] == "mark" else []

    def _media(self, leg: Leg, at_ms: int, payload: bytes) -> str:
        self._chunks[leg] += 1
        media = {
            "track": TRACKS[leg],
            "chunk": str(self._chunks[leg]),
            "timestamp": str(at_ms),
            "payload": base64.b64encode(payload).decode(),
        }
        return self._tell("media", media)

    def _tell(self, kind: str, body: dict[str, Any]) -> str:
        self._said += 1
        return json.dumps(
            {"event": kind, "sequence_number": str(self._said), "stream_id": self._call.stream_id, kind: body},
            separators=(",", ":"),
        )
