"""Being a program with a WebSocket of its own, as `bridge.ingest.websocket` reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from bridge.carrier.forked import ForkedSide, l16_at
from bridge.carrier.side import Message


class WebSocketSide(ForkedSide):
    """One call: both parties in stereo, or the caller alone."""

    offered = l16_at(16000, 44100, 48000)

    def headers(self, _url: str) -> Mapping[str, str]:
        return {} if self._call.token is None else {"Authorization": f"Bearer {self._call.token}"}

    def opening(self) -> Sequence[Message]:
        return [json.dumps({**self._call.parameters, "carrier_call_id": self._call.carrier_call_id, **self.kind})]

    def closing(self) -> Sequence[Message]:
        """An empty message: all has been said."""
        return [b""]
