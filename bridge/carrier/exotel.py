"""Being Exotel: the messages of a Stream applet, as `bridge.ingest.exotel` reads them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bridge.carrier.side import CarrierSide, Dialled, Message, chosen_format
from bridge.model.stream import Encoding, Leg, MediaFormat

ACCOUNT: Final = "made-up"
USER: Final = "callbridge"
"""Of `wss://USER:TOKEN@host`; only the token counts."""
KEY_MS: Final = "100"

OFFERED: Final[tuple[MediaFormat, ...]] = (
    *(MediaFormat(encoding=Encoding.L16_LE, sample_rate=rate) for rate in (8000, 16000, 24000)),
    MediaFormat(encoding=Encoding.PCMU, sample_rate=8000),
)


class ExotelSide(CarrierSide):
    """One call, as Exotel tells it: the caller alone, 100 ms a message."""

    offered = OFFERED
    frame_ms = 100
    legs: tuple[Leg, ...] = (Leg.CALLER,)

    def __init__(self, call: Dialled) -> None:
        self._call = call
        self.media_format = chosen_format(call, self.offered)
        self.answer: list[bytes] = []
        self._ids = {"call_sid": call.carrier_call_id, "account_sid": ACCOUNT}
        self._said = 0
        self._chunk = 0

    def headers(self, _url: str) -> Mapping[str, str]:
        if self._call.token is None:
            return {}
        return {"Authorization": f"Basic {base64.b64encode(f'{USER}:{self._call.token}'.encode()).decode()}"}

    def opening(self) -> Sequence[str]:
        encoding = "audio/x-mulaw;rate=8000" if self.media_format.encoding is Encoding.PCMU else "audio/x-raw"
        start = {
            "stream_sid": self._call.stream_id,
            **self._ids,
            "from": "+15550100",
            "to": "+15550199",
            "custom_parameters": self._call.parameters or "",
            "media_format": {
                "encoding": encoding,
                "sample_rate": str(self.media_format.sample_rate),
                "bit_rate": "128kbps",
            },
        }
        return [json.dumps({"event": "connected"}), self._tell("start", start)]

    def media(self, at_ms: int, payloads: Mapping[Leg, bytes]) -> Sequence[str]:
        return [self._media(at_ms, payload) for payload in payloads.values()]

    def key(self, _leg: Leg, digit: str) -> Sequence[str]:
        return [self._tell("dtmf", {"digit": digit, "duration": KEY_MS})]

    def closing(self) -> Sequence[str]:
        return [self._tell("stop", {**self._ids, "reason": "callended"})]

    def hear(self, message: Message) -> Sequence[str]:
        """Play what comes back. A mark is given back as soon as it is there."""
        body = json.loads(message)
        if body["event"] == "media":
            self.answer.append(base64.b64decode(body["media"]["payload"]))
        return [self._tell("mark", body["mark"])] if body["event"] == "mark" else []

    def _media(self, at_ms: int, payload: bytes) -> str:
        self._chunk += 1
        media = {
            "chunk": str(self._chunk),
            "timestamp": str(at_ms),
            "payload": base64.b64encode(payload).decode(),
        }
        return self._tell("media", media)

    def _tell(self, kind: str, body: dict[str, Any]) -> str:
        self._said += 1
        return json.dumps(
            {"event": kind, "sequence_number": str(self._said), "stream_sid": self._call.stream_id, kind: body},
            separators=(",", ":"),
        )
