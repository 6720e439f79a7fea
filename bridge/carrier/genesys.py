"""Being Genesys Cloud: an AudioHook client, as `bridge.ingest.genesys` hears it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID, uuid5

import numpy as np

from bridge.carrier.side import CarrierSide, Dialled, Message, chosen_format
from bridge.ingest.genesys import CHANNELS, ENCODINGS, RATE, VERSION
from bridge.ingest.genesys_signature import API_KEY, CORRELATION, ORGANIZATION, SESSION, signed_headers
from bridge.model.stream import Leg, MediaFormat

FORMATS: Final = {
    MediaFormat(encoding=encoding, sample_rate=RATE): (str(name), sample_bytes)
    for name, (encoding, sample_bytes) in ENCODINGS.items()
}
"""The name, and the bytes of a sample."""
NAMES: Final = {leg: name for name, leg in CHANNELS.items()}

PINGED_BEHIND: Final = frozenset({"opened", "pong"})
MOST_PINGS: Final = 2
"""Genesys asks twice at the beginning, for the time that an answer takes, and then every five seconds."""

USUAL_KEY: Final = "callbridge"


class GenesysSide(CarrierSide):
    """One session: the customer on the external channel, the agent on the internal one, 200 ms a message."""

    offered = tuple(FORMATS)
    frame_ms = 200

    def __init__(self, call: Dialled) -> None:
        self._call = call
        self.legs = call.legs
        self.media_format = chosen_format(call, self.offered)
        self._session = UUID(hex=call.stream_id)
        self._organization = str(uuid5(self._session, "organization"))
        self._said = 0
        self._heard = 0
        self._at_ms = 0
        self._pings = 0
        self._opened = self._closing = self._closed = False

    @property
    def ready(self) -> bool:
        """Audio goes to a session that is `opened`."""
        return self._opened

    @property
    def parted(self) -> bool:
        """Whether it is `closed`."""
        return self._closed

    def headers(self, url: str) -> Mapping[str, str]:
        """`X-API-KEY` is the bridge's credential; with a secret, what signs the upgrade goes by it."""
        given = {
            ORGANIZATION: self._organization,
            SESSION: str(self._session),
            CORRELATION: str(uuid5(self._session, "correlation")),
        }
        if self._call.token is not None or self._call.secret is not None:
            given[API_KEY] = self._call.token or USUAL_KEY
        if self._call.secret is None:
            return given
        nonce = base64.b64encode(self._session.bytes).decode()
        return given | signed_headers(self._call.secret, url, given, nonce=nonce, now=self._call.placed_at)

    def opening(self) -> Sequence[str]:
        participant = {
            "id": str(uuid5(self._session, "participant")),
            "ani": "+15550100",
            "aniName": "",
            "dnis": "+15550199",
        }
        media = {
            "type": "audio",
            "format": FORMATS[self.media_format][0],
            "channels": [NAMES[leg] for leg in self.legs],
            "rate": RATE,
        }
        said = {
            "organizationId": self._organization,
            "conversationId": str(UUID(hex=self._call.carrier_call_id)),
            "participant": participant,
            "media": [media],
            "customConfig": self._call.parameters,
        }
        return [self._tell("open", said)]

    def media(self, at_ms: int, payloads: Mapping[Leg, bytes]) -> Sequence[bytes]:
        self._at_ms = at_ms + self.frame_ms
        sample = np.uint8 if FORMATS[self.media_format][1] == 1 else np.int16
        channels = [np.frombuffer(payload, sample) for payload in payloads.values()]
        return [np.stack(channels, axis=1).tobytes()]

    def key(self, _leg: Leg, _digit: str) -> Sequence[str]:
        """Nothing: AudioHook Monitor does not tell keys."""
        return []

    def closing(self) -> Sequence[str]:
        self._closing = True
        return [self._tell("close", {"reason": "end"})]

    def hear(self, message: Message) -> Sequence[str]:
        """Once it closes, it says nothing more."""
        if isinstance(message, bytes):
            return []
        body = json.loads(message)
        kind, self._heard = body["type"], body["seq"]
        self._opened |= kind == "opened"
        self._closed |= kind == "closed"
        if self._closing:
            return []
        if kind == "disconnect":
            self._closing = True
            return [self._tell("close", {"reason": "disconnect"})]
        if kind in PINGED_BEHIND and self._pings < MOST_PINGS:
            self._pings += 1
            return [self._tell("ping", {})]
        return []

    def _tell(self, kind: str, said: Mapping[str, Any]) -> str:
        self._said += 1
        envelope = {
            "version": VERSION,
            "id": str(self._session),
            "type": kind,
            "seq": self._said,
            "serverseq": self._heard,
            "position": f"PT{self._at_ms / 1000:g}S",
        }
        return json.dumps({**envelope, "parameters": said})
