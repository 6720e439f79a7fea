"""The body of a SIPREC request (RFC 7866 §9.1): an SDP offer, metadata, or both in a multipart with whatever else."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from typing import Final

from bridge.errors import CarrierProtocolError

SDP: Final = "application/sdp"
METADATA: Final = frozenset({"application/rs-metadata+xml", "application/rs-metadata"})
"""The registered type, and the one of older clients."""
MOST_PARTS: Final = 16


@dataclass(frozen=True, slots=True)
class Body:
    """What a request brings."""

    sdp: str | None = None
    metadata: bytes | None = None


def read_body(content_type: str | None, body: bytes) -> Body:
    """Raises CarrierProtocolError for a multipart that is none."""
    if not body.strip() or content_type is None:
        return Body()
    heading = b"Content-Type: " + " ".join(content_type.split()).encode("utf-8", "replace") + b"\r\n\r\n"
    try:
        message = BytesParser().parsebytes(heading + body)
    except RecursionError:
        raise CarrierProtocolError("a multipart in a multipart, too many times") from None
    if message.get_content_maintype() == "multipart" and not message.is_multipart():
        raise CarrierProtocolError("a multipart without parts")
    parts = (
        [part for part in message.get_payload() if isinstance(part, Message)] if message.is_multipart() else [message]
    )
    if len(parts) > MOST_PARTS:
        raise CarrierProtocolError(f"a multipart of {len(parts)} parts")
    sdp, metadata = None, None
    for part in parts:
        payload = part.get_payload(decode=True)
        if not isinstance(payload, bytes):
            continue
        if part.get_content_type() == SDP and sdp is None:
            sdp = payload.decode("utf-8", "replace")
        elif part.get_content_type() in METADATA and metadata is None:
            metadata = payload
    return Body(sdp, metadata)
