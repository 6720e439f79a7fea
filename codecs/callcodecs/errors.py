"""What can go wrong between bytes and samples.

CodecError
├── UnknownEncodingError     no decoder of that name, or none at that rate
├── CorruptPayloadError      one payload that cannot be decoded; the next one may be good
└── MalformedPacketError     bytes that are not an RTP packet
"""

from __future__ import annotations


class CodecError(Exception):
    """Parent of all of this package's errors."""


class UnknownEncodingError(CodecError):
    """Nothing here decodes this encoding at this rate. Waiting or trying again does not help."""


class CorruptPayloadError(CodecError):
    """A payload that its codec refuses. It costs that payload only: the decoder goes on with the next."""


class MalformedPacketError(CodecError):
    """Bytes whose lengths or version do not make an RTP packet."""
