"""A WebSocket of a program's own, or of a page in a browser: a text if there is one, then L16, one channel or two.

No carrier's: `rate`, `mix` and what goes with the call stand in the text, a JSON object, or in the address.
"""

from __future__ import annotations

from typing import Final

from bridge.ingest.fields import json_object, parameters
from bridge.ingest.forked import RATE, ForkedStream, customers, first_of, legs_of
from bridge.ingest.formats import media_format
from bridge.model.stream import StreamStarted

CALL_ID: Final = "carrier_call_id"
USUAL_RATE: Final = "16000"


class WebSocketStream(ForkedStream):
    """One such socket."""

    def _started(self, text: str) -> StreamStarted:
        return self._with(parameters(json_object(text)))

    def _unannounced(self) -> StreamStarted:
        """The text is optional: all may stand in the address, or be as usual."""
        return self._with({})

    def _with(self, said: dict[str, str]) -> StreamStarted:
        given = {**self.known.query, **said}
        return StreamStarted(
            carrier="websocket",
            carrier_call_id=first_of(given, (CALL_ID,)),
            stream_id="",
            legs=legs_of(given),
            media_format=media_format("l16", first_of(given, RATE, USUAL_RATE)),
            parameters=customers(given, frozenset({CALL_ID})),
        )
