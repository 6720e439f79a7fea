"""Being FreeSWITCH: mod_audio_fork, as `bridge.ingest.freeswitch` reads it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from bridge.carrier.forked import ForkedSide, l16_at
from bridge.carrier.side import Message


class FreeSwitchSide(ForkedSide):
    """One forked channel: both parties in stereo, or the caller alone."""

    offered = l16_at(16000, 8000, 48000)

    def opening(self) -> Sequence[Message]:
        """The metadata of `uuid_audio_fork … start`, written as our page says."""
        return [json.dumps({**self._call.parameters, "uuid": self._call.carrier_call_id, **self.kind})]

    def closing(self) -> Sequence[Message]:
        """`graceful-shutdown`."""
        return [b""]
