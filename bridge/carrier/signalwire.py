"""Being SignalWire: the messages of a cXML stream, as `bridge.ingest.signalwire` reads them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from bridge.carrier.audio import FRAME_MS
from bridge.carrier.side import CarrierSide, Dialled, Message, chosen_format
from bridge.model.stream import Encoding, Leg, MediaFormat

ACCOUNT: Final = str(UUID(int=0))
TRACKS: Final = {Leg.CALLER: "inbound", Leg.AGENT: "outbound"}
KEY_MS: Final = 200

OFFERED: Final[tuple[MediaFormat, ...]] = (
    MediaFormat(encoding=Encoding.PCMU, sample_rate=8000),
    MediaFormat(encoding=Encoding.L16_LE, sample_rate=16000),
    MediaFormat(encoding=Encoding.L16_LE, sample_rate=24000),
)


class SignalWireSide(CarrierSide):
    """One call, as SignalWire tells it."""

    offered = OFFERED
    frame_ms = FRAME_MS

    def __init__(self, call: Dialled) -> None:
        self._call = call
        self.legs = call.legs
        self.media_format = chosen_format(call, self.offered)
        self.answer: list[bytes] = []
        self._stream = str(UUID(hex=call.stream_id))
        self._said = 0
        self._chunks = dict.fromkeys(call.legs, 0)

    def headers(self, _url: str) -> Mapping[str, str]:
        """`authBearerToken`."""
        return {} if self._call.token is None else {"Authorization": f"Bearer {self._call.token}"}

    def opening(self) -> Sequence[str]:
        encoding = "audio/x-mulaw" if self.media_format.encoding is Encoding.PCMU else "audio/x-L16"
        start = {
            "streamSid": self._stream,
            "accountSid": ACCOUNT,
            "callSid": str(UUID(hex=self._call.carrier_call_id)),
            "tracks": [TRACKS[leg] for leg in self.legs],
            "customParameters": self._call.parameters,
            "mediaFormat": {"encoding": encoding, "sampleRate": self.media_format.sample_rate, "channels": 1},
        }
        connected = json.dumps({"event": "connected", "protocol": "Call", "version": "0.2.0"})
        return [connected, self._tell("start", streamSid=self._stream, start=start)]

    def media(self, at_ms: int, payloads: Mapping[Leg, bytes]) -> Sequence[str]:
        return [self._media(leg, at_ms, payload) for leg, payload in payloads.items()]

    def key(self, _leg: Leg, digit: str) -> Sequence[str]:
        return [self._tell("dtmf", streamSid=self._stream, dtmf={"digit": digit, "duration": KEY_MS})]

    def closing(self) -> Sequence[str]:
        return [self._tell("stop")]

    def hear(self, message: Message) -> Sequence[str]:
        """Play what comes back. A mark is given back as soon as it is there."""
        body = json.loads(message)
        if body["event"] == "media":
            self.answer.append(base64.b64decode(body["media"]["payload"]))
        if body["event"] == "mark":
            return [self._tell("mark", streamSid=self._stream, mark=body["mark"])]
        return []

    def _media(self, leg: Leg, at_ms: int, payload: bytes) -> str:
        self._chunks[leg] += 1
        media = {
            "track": TRACKS[leg],
            "chunk": str(self._chunks[leg]),
            "timestamp": str(at_ms),
            "payload": base64.b64encode(payload).decode(),
        }
        return self._tell("media", media=media)

    def _tell(self, kind: str, **body: Any) -> str:
        self._said += 1
        return json.dumps({"event": kind, "sequenceNumber": str(self._said), **body}, separators=(",", ":"))
