"""Being Plivo: the messages of an audio stream, as `bridge.ingest.plivo` reads them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from bridge.carrier.audio import FRAME_MS
from bridge.carrier.side import CarrierSide, Dialled, Message, chosen_format
from bridge.ingest.plivo_signature import NONCE, SIGNATURE, sign
from bridge.model.stream import Encoding, Leg, MediaFormat

TRACKS: Final = {Leg.CALLER: "inbound", Leg.AGENT: "outbound"}

BEGAN_MS: Final = 1_760_000_000_000
"""Unix time of a call's start: Plivo's timestamps are of this kind."""

OFFERED: Final[tuple[MediaFormat, ...]] = (
    MediaFormat(encoding=Encoding.PCMU, sample_rate=8000),
    MediaFormat(encoding=Encoding.L16_LE, sample_rate=8000),
    MediaFormat(encoding=Encoding.L16_LE, sample_rate=16000),
)


class PlivoSide(CarrierSide):
    """One call, as Plivo tells it."""

    offered = OFFERED
    frame_ms = FRAME_MS

    def __init__(self, call: Dialled) -> None:
        self._call = call
        self.legs = call.legs
        self.media_format = chosen_format(call, self.offered)
        self.answer: list[bytes] = []
        self._stream = str(UUID(hex=call.stream_id))
        token = {} if call.token is None else {"token": call.token}
        self._extra_headers = json.dumps({**call.parameters, **token})
        self._said = 0
        self._chunks = dict.fromkeys(call.legs, 0)

    def headers(self, url: str) -> Mapping[str, str]:
        if self._call.secret is None:
            return {}
        nonce = str(int(self._call.stream_id, 16))[:20]
        return {SIGNATURE: sign(self._call.secret, url, nonce), NONCE: nonce}

    def opening(self) -> Sequence[str]:
        encoding = "audio/x-mulaw" if self.media_format.encoding is Encoding.PCMU else "audio/x-l16"
        start = {
            "callId": str(UUID(hex=self._call.carrier_call_id)),
            "streamId": self._stream,
            "accountId": "MA00000000000000000",
            "tracks": [TRACKS[leg] for leg in self.legs],
            "mediaFormat": {"encoding": encoding, "sampleRate": self.media_format.sample_rate},
        }
        return [self._tell("start", start=start, extra_headers=self._extra_headers)]

    def media(self, at_ms: int, payloads: Mapping[Leg, bytes]) -> Sequence[str]:
        return [self._media(leg, at_ms, payload) for leg, payload in payloads.items()]

    def key(self, leg: Leg, digit: str) -> Sequence[str]:
        dtmf = {"track": TRACKS[leg], "digit": digit, "timestamp": str(BEGAN_MS)}
        return [self._tell("dtmf", streamId=self._stream, dtmf=dtmf)]

    def closing(self) -> Sequence[str]:
        return [self._tell("stop", streamId=self._stream)]

    def hear(self, message: Message) -> Sequence[str]:
        """Play what comes back. A checkpoint is reached as soon as it is there."""
        body = json.loads(message)
        if body["event"] == "playAudio":
            self.answer.append(base64.b64decode(body["media"]["payload"]))
        if body["event"] == "checkpoint":
            return [self._tell("playedStream", streamId=self._stream, name=body["name"])]
        return [self._tell("clearedAudio", streamId=self._stream)] if body["event"] == "clearAudio" else []

    def _media(self, leg: Leg, at_ms: int, payload: bytes) -> str:
        self._chunks[leg] += 1
        media = {
            "track": TRACKS[leg],
            "timestamp": str(BEGAN_MS + at_ms),
            "chunk": self._chunks[leg],
            "payload": base64.b64encode(payload).decode(),
        }
        return self._tell("media", streamId=self._stream, media=media)

    def _tell(self, kind: str, **body: Any) -> str:
        self._said += 1
        return json.dumps({"event": kind, "sequenceNumber": self._said, **body}, separators=(",", ":"))
