"""Being FreeSWITCH: mod_audio_fork, as `bridge.ingest.freeswitch` reads it."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Final

from bridge.carrier.forked import ForkedSide, l16_at
from bridge.carrier.side import Message

CONTENT: Final = {"playAudio": "audioContent", "streamAudio": "audioData"}
"""Where a file is, by the message's type."""


class FreeSwitchSide(ForkedSide):
    """One forked channel: both parties in stereo, or the caller alone."""

    offered = l16_at(16000, 8000, 48000)

    def opening(self) -> Sequence[Message]:
        """The metadata of `uuid_audio_fork … start`, written as our page says."""
        return [json.dumps({**self._call.parameters, "uuid": self._call.carrier_call_id, **self.kind})]

    def hear(self, message: Message) -> Sequence[Message]:
        """Play what is streamed, and the files that an application would be told of: each module has its own words."""
        body = {} if isinstance(message, bytes) else json.loads(message)
        if body.get("type") in CONTENT:
            self.answer.append(base64.b64decode(body["data"][CONTENT[body["type"]]]))
        return super().hear(message)

    def closing(self) -> Sequence[Message]:
        """`graceful-shutdown`."""
        return [b""]
