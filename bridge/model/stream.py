"""What a carrier says, whoever the carrier is: the values every dialect in `ingest/` turns its messages into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Leg(StrEnum):
    """Whose voice a run of audio is."""

    CALLER = "caller"
    AGENT = "agent"
    MIXED = "mixed"


class Encoding(StrEnum):
    """How samples travel. The names are those of RFC 3551 and RFC 7587; L16 names its byte order."""

    PCMU = "PCMU"
    PCMA = "PCMA"
    G722 = "G722"
    L16_LE = "L16LE"
    L16_BE = "L16BE"
    L16 = "L16"
    """Its byte order is not known: found by listening."""
    OPUS = "OPUS"


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFormat:
    """How one leg's payloads are to be read."""

    encoding: Encoding
    sample_rate: int
    """Samples a second after decoding (G.722: 16000, whatever its RTP clock says)."""
    channels: int = 1
    """2: every payload holds both parties, the caller left and the agent right, and comes as a chunk of each leg."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStarted:
    """The carrier has said what is coming. Always the first item."""

    carrier: str
    carrier_call_id: str
    stream_id: str
    legs: tuple[Leg, ...]
    media_format: MediaFormat
    parameters: Mapping[str, str] = field(default_factory=dict)
    """What the carrier let the customer add: `call_id`, `language`, `token`, `metadata.*` …"""
    variant: str = ""
    """Of the dialect, where the carrier has to be answered as it speaks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaChunk:
    """Audio of one leg, still encoded.

    `sequence` counts this leg's chunks by one and tells order and loss; `timestamp_ms` is the position of the
    first sample since the stream's start. Either is None where the carrier does not say; then order of arrival and
    the count of samples stand in.
    """

    leg: Leg
    payload: bytes
    sequence: int | None = None
    timestamp_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DtmfDigit:
    """A key pressed on the phone, as the carrier reports it: one of `0-9*#A-D`."""

    leg: Leg
    digit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkReached:
    """Playback towards the carrier has come to a mark that was sent with it."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybackHeld:
    """The carrier takes no more to be played (`held`), or does again."""

    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Discarded:
    """The carrier says itself that it left audio out (a pause for card data, a discarded stretch)."""

    leg: Leg
    missing_ms: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Flush:
    """The sender wants what has been said so far put into words now: speech that goes on is cut here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnsChanged:
    """The sender wants turns decided otherwise from here on."""

    parameters: Mapping[str, str]
    """Those of a stream's start that say how: what is left out stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStopped:
    """The carrier has said that the call is over. Media may still follow; it counts, as long as the socket lives."""

    reason: str = "hangup"
    broken: bool = False
    """Nobody said so: the line is dead, and the carrier may come back on another."""


StreamItem = (
    StreamStarted
    | MediaChunk
    | DtmfDigit
    | MarkReached
    | PlaybackHeld
    | Discarded
    | Flush
    | TurnsChanged
    | StreamStopped
)
