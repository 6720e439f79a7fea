"""Being jambonz: the verb `listen`, as `bridge.ingest.jambonz` reads it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from bridge.carrier.forked import ForkedSide, l16_at
from bridge.carrier.side import Message


class JambonzSide(ForkedSide):
    """One call: both parties in stereo, or the caller alone."""

    offered = l16_at(8000, 16000, 24000, 48000, 64000)

    def opening(self) -> Sequence[Message]:
        call = {
            "callSid": self._call.carrier_call_id,
            "direction": "inbound",
            "from": "+15550100",
            "to": "+15550199",
            "callId": "made-up",
            "sipStatus": 200,
            "callStatus": "in-progress",
            "accountSid": "made-up",
            "traceId": self._call.stream_id,
        }
        return [json.dumps({**self.kind, **call, **self._call.parameters})]

    def closing(self) -> Sequence[Message]:
        """Nothing: the socket closes."""
        return []
