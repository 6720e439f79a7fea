"""Being Twilio: the messages of a Media Stream, as `bridge.ingest.twilio` reads them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bridge.carrier.audio import FRAME_MS
from bridge.carrier.side import CarrierSide, Dialled, Message
from bridge.ingest.twilio_signature import SIGNATURE, sign
from bridge.model.stream import Encoding, Leg, MediaFormat

ACCOUNT: Final = f"AC{'0' * 32}"
TRACKS: Final = {Leg.CALLER: "inbound", Leg.AGENT: "outbound"}


class TwilioSide(CarrierSide):
    """One call, as Twilio tells it."""

    media_format = MediaFormat(encoding=Encoding.PCMU, sample_rate=8000)
    offered: tuple[MediaFormat, ...] = (media_format,)
    frame_ms = FRAME_MS

    def __init__(self, call: Dialled) -> None:
        self._call = call
        self.legs = call.legs
        self.answer: list[bytes] = []
        self._stream = f"MZ{call.stream_id}"
        self._ids = {"accountSid": ACCOUNT, "callSid": f"CA{call.carrier_call_id}"}
        self._said = 0
        self._chunks = dict.fromkeys(call.legs, 0)

    def headers(self, url: str) -> Mapping[str, str]:
        return {} if self._call.secret is None else {SIGNATURE: sign(self._call.secret, url)}

    def opening(self) -> Sequence[str]:
        token = {} if self._call.token is None else {"token": self._call.token}
        start = {
            "streamSid": self._stream,
            **self._ids,
            "tracks": [TRACKS[leg] for leg in self._call.legs],
            "customParameters": {**self._call.parameters, **token},
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        }
        connected = json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        return [connected, self._tell("start", start)]

    def media(self, at_ms: int, payloads: Mapping[Leg, bytes]) -> Sequence[str]:
        return [self._media(leg, at_ms, payload) for leg, payload in payloads.items()]

    def key(self, leg: Leg, digit: str) -> Sequence[str]:
        return [self._tell("dtmf", {"track": f"{TRACKS[leg]}_track", "digit": digit})]

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
            {"event": kind, "sequenceNumber": str(self._said), kind: body, "streamSid": self._stream},
            separators=(",", ":"),
        )
