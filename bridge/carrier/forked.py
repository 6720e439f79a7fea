"""Being a module that forks audio, as `bridge.ingest.forked` reads it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from bridge.carrier.audio import FRAME_MS
from bridge.carrier.side import CarrierSide, Dialled, Message, chosen_format
from bridge.model.stream import Encoding, Leg, MediaFormat

USER: Final = "callbridge"
"""Of HTTP Basic; only the password counts."""
KEY_DURATION: Final = "1600"
"""In RTP's timestamp units: 200 ms."""


def l16_at(*rates: int) -> tuple[MediaFormat, ...]:
    return tuple(MediaFormat(encoding=Encoding.L16_LE, sample_rate=rate) for rate in rates)


class ForkedSide(CarrierSide):
    """One call as such a module tells it. A dialect is a subclass that says what begins it, and what ends it."""

    offered: tuple[MediaFormat, ...]
    frame_ms = FRAME_MS

    def __init__(self, call: Dialled) -> None:
        self._call = call
        self.legs = call.legs
        self.media_format = chosen_format(call, self.offered)
        self.answer: list[bytes] = []

    @property
    def kind(self) -> Mapping[str, Any]:
        """Rate and mix type, as both dialects write them."""
        mix = "stereo" if len(self.legs) > 1 else "mixed" if Leg.MIXED in self.legs else "mono"
        return {"sampleRate": self.media_format.sample_rate, "mixType": mix}

    def headers(self, _url: str) -> Mapping[str, str]:
        if self._call.token is None:
            return {}
        return {"Authorization": f"Basic {base64.b64encode(f'{USER}:{self._call.token}'.encode()).decode()}"}

    def media(self, _at_ms: int, payloads: Mapping[Leg, bytes]) -> Sequence[bytes]:
        """One message with the samples of all legs in turn."""
        channels = [np.frombuffer(payload, np.int16) for payload in payloads.values()]
        return [np.stack(channels, axis=1).tobytes()]

    def hear(self, message: Message) -> Sequence[Message]:
        """Play what is streamed. A mark is reached as soon as it is there."""
        if isinstance(message, bytes):
            self.answer.append(message)
            return []
        body = json.loads(message)
        if body["type"] != "mark":
            return []
        return [json.dumps({"type": "mark", "data": {"name": body["data"]["name"], "event": "playout"}})]

    def key(self, _leg: Leg, digit: str) -> Sequence[Message]:
        return [json.dumps({"event": "dtmf", "dtmf": digit, "duration": KEY_DURATION})]
