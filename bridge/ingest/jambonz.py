"""jambonz `listen`: JSON text that describes the call, then L16, one channel or two (docs.jambonz.org, verb `listen`).

The verb's `metadata` is merged into that text, beside jambonz's own fields.
"""

from __future__ import annotations

from typing import Final

from bridge.errors import CarrierProtocolError
from bridge.ingest.fields import parameters
from bridge.ingest.forked import ForkedStream, customers, first_of, format_of, legs_of, scalars_of
from bridge.model.stream import StreamStarted

CALL_ID: Final = ("callSid", "callId")

OWN: Final = frozenset(
    {
        *CALL_ID,
        *("accountSid", "apiBaseUrl", "applicationSid", "callStatus", "callTerminationBy", "callerId", "direction"),
        *("duration", "from", "fsPublicIp", "fsSipAddress", "originatingSipIp", "originatingSipTrunkName"),
        *("parentCallSid", "sbcCallid", "sipReason", "sipStatus", "to", "traceId"),
    }
)
"""Fields of the first text that are jambonz's; all others are the customer's."""


class JambonzStream(ForkedStream):
    """One `listen` socket."""

    def _started(self, text: str) -> StreamStarted:
        said = scalars_of(text)
        if said is None:
            raise CarrierProtocolError("a first text that does not describe the call")
        given = {**self.known.query, **parameters(said)}
        return StreamStarted(
            carrier="jambonz",
            carrier_call_id=first_of(given, CALL_ID),
            stream_id=first_of(given, ("traceId",)),
            legs=legs_of(given),
            media_format=format_of(given),
            parameters=customers(given, OWN),
        )
