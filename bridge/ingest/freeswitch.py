"""FreeSWITCH's mod_audio_fork and mod_audio_stream: a text if there is one, then L16, one channel or two.

github.com/drachtio/drachtio-freeswitch-modules, github.com/amigniter/mod_audio_stream. The modules announce neither
rate nor mix type: the customer writes them into the text, which is theirs, or into the stream's address.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bridge.ingest.fields import parameters, storable
from bridge.ingest.forked import SUBPROTOCOLS, ForkedStream, customers, first_of, format_of, legs_of, scalars_of
from bridge.model.stream import StreamStarted

CALL_ID: Final = ("carrier_call_id", "uuid", "call_uuid", "Unique-ID", "callSid")
"""Where a customer may have put the channel's id: the modules do not send it."""

TEXT: Final = "metadata.text"
"""Where a first text that is no JSON object is kept, up to `MOST_TEXT` characters."""
MOST_TEXT: Final = 8192

FORK, STREAMING = SUBPROTOCOLS
"""What drachtio's mod_audio_fork offers, and jambonz's, which plays what it is streamed."""
STREAM_MODULE: Final = ""
"""mod_audio_stream offers no subprotocol."""


class FreeSwitchStream(ForkedStream):
    """One stream of either module."""

    def __init__(self, query: Mapping[str, str] | None = None, *, offered: str = FORK) -> None:
        """`offered`: the upgrade's `Sec-WebSocket-Protocol`, which tells the modules apart."""
        super().__init__(query)
        names = (name.strip() for name in offered.split(","))
        self._variant = next((name for name in names if name in SUBPROTOCOLS), STREAM_MODULE)

    def _started(self, text: str) -> StreamStarted:
        said = scalars_of(text)
        return self._with({TEXT: storable(text[:MOST_TEXT])} if said is None else parameters(said))

    def _unannounced(self) -> StreamStarted:
        """The text is optional: all may stand in the address, or be as usual."""
        return self._with({})

    def _with(self, said: dict[str, str]) -> StreamStarted:
        given = {**self.known.query, **said}
        return StreamStarted(
            carrier="freeswitch",
            carrier_call_id=first_of(given, CALL_ID),
            stream_id="",
            legs=legs_of(given),
            media_format=format_of(given),
            parameters=customers(given, frozenset(CALL_ID)),
            variant=self._variant,
        )
