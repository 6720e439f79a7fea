"""Being Bandwidth: the messages of a media stream, as `bridge.ingest.bandwidth` reads them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bridge.carrier.audio import FRAME_MS
from bridge.carrier.side import CarrierSide, Dialled, Message
from bridge.model.stream import Encoding, Leg, MediaFormat

ACCOUNT: Final = "9900000"
TRACKS: Final = {Leg.CALLER: "inbound", Leg.AGENT: "outbound"}


class BandwidthSide(CarrierSide):
    """One call, as Bandwidth tells it. Keys are not told on the socket."""

    media_format = MediaFormat(encoding=Encoding.PCMU, sample_rate=8000)
    offered: tuple[MediaFormat, ...] = (media_format,)
    frame_ms = FRAME_MS

    def __init__(self, call: Dialled) -> None:
        self._call = call
        self.legs = call.legs
        self.answer: list[bytes] = []
        announced = {"encoding": "PCMU", "sampleRate": 8000}
        self._metadata = {
            "accountId": ACCOUNT,
            "callId": f"c-{call.carrier_call_id}",
            "streamId": f"s-{call.stream_id}",
            "streamName": "callbridge",
            "tracks": [{"name": TRACKS[leg], "mediaFormat": announced} for leg in call.legs],
        }
        self._sent = 0

    def headers(self, _url: str) -> Mapping[str, str]:
        return {}

    def opening(self) -> Sequence[str]:
        token = {} if self._call.token is None else {"token": self._call.token}
        return [_tell("start", metadata=self._metadata, streamParams={**self._call.parameters, **token})]

    def media(self, _at_ms: int, payloads: Mapping[Leg, bytes]) -> Sequence[str]:
        return [self._media(leg, payload) for leg, payload in payloads.items()]

    def key(self, _leg: Leg, _digit: str) -> Sequence[str]:
        """Nothing: keys come by webhook."""
        return []

    def closing(self) -> Sequence[str]:
        return [_tell("stop", metadata=self._metadata)]

    def hear(self, message: Message) -> Sequence[str]:
        """Play what comes back."""
        body = json.loads(message)
        if body["eventType"] == "playAudio":
            self.answer.append(base64.b64decode(body["media"]["payload"]))
        return []

    def _media(self, leg: Leg, payload: bytes) -> str:
        self._sent += 1
        return _tell("media", sequenceNumber=self._sent, track=TRACKS[leg], payload=base64.b64encode(payload).decode())


def _tell(kind: str, **body: Any) -> str:
    return json.dumps({"eventType": kind, **body}, separators=(",", ":"))
