"""A SIPREC client's SDP offer, and our answer: what is taken of it, on which ports (RFC 7866 §7.1.2, RFC 3264)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiosipua.sdp import Codec, ConnectionData, MediaDescription, Origin, SdpMessage, parse_sdp, serialize_sdp

from bridge.errors import CarrierProtocolError, UnsupportedMediaError
from bridge.ingest.fields import MAX_IDENTIFIER, storable
from bridge.ingest.rtp_formats import FIXED, Audio, Payload, PayloadTypes, payload_of
from bridge.model.stream import Leg

MOST_LEGS: Final = 2
SENDING: Final = frozenset({"sendonly", "sendrecv"})
RTP_PROFILES: Final = frozenset({"RTP/AVP", "RTP/AVPF"})
"""Without encryption."""


@dataclass(frozen=True, slots=True)
class OfferedStream:
    """One `m=` line that is taken."""

    index: int
    """Among all of the offer's."""
    label: str
    sends: bool
    """False on hold."""
    payloads: Mapping[int, Payload]


@dataclass(frozen=True, slots=True)
class Offer:
    """What a client wants recorded."""

    sdp: SdpMessage
    streams: tuple[OfferedStream, ...]
    """Two at most: the first audio lines that can be taken."""
    codec: Audio
    """The one of all streams."""

    def payload_types(self, stream: OfferedStream) -> PayloadTypes:
        """What is to be sent: the agreed codec, keys and comfort noise."""
        told = {n: each for n, each in stream.payloads.items() if not isinstance(each, Audio) or each == self.codec}
        return PayloadTypes(told=told)


def read_offer(text: str, agreed: Audio | None = None) -> Offer:
    """`agreed` is the codec of a call in progress, which it keeps.

    Raises CarrierProtocolError for what is no SDP, UnsupportedMediaError when nothing of it can be recorded.
    """
    try:
        sdp = parse_sdp(text)
    except (ValueError, IndexError) as error:
        raise CarrierProtocolError(f"SDP that cannot be read: {error}") from None
    found = [stream for n, media in enumerate(sdp.media) if (stream := _taken(n, media, sdp)) is not None]
    streams = tuple(found[:MOST_LEGS])
    if not streams:
        raise UnsupportedMediaError("no audio stream over plain RTP is offered")
    common = [
        payload
        for payload in streams[0].payloads.values()
        if isinstance(payload, Audio) and all(payload in other.payloads.values() for other in streams)
    ]
    if agreed is not None:
        common = [payload for payload in common if payload == agreed]
    if not common:
        raise UnsupportedMediaError("no codec is offered for all streams that is understood here")
    return Offer(sdp, streams, common[0])


def answer(offer: Offer, host: str, ports: Sequence[int], *, session_id: int, version: int) -> str:
    """As many `m=` lines as were offered, in their order: ours receive, others are refused by port 0."""
    by_index = dict(
        zip((stream.index for stream in offer.streams), zip(offer.streams, ports, strict=True), strict=True)
    )
    media = []
    for index, offered in enumerate(offer.sdp.media):
        if index not in by_index:
            media.append(
                MediaDescription(media=offered.media, port=0, proto=offered.proto, formats=offered.formats[:1])
            )
            continue
        stream, port = by_index[index]
        kept = [n for n in _numbers(offered) if n in offer.payload_types(stream).told]
        attributes: dict[str, list[str]] = {
            "rtpmap": [_rtpmap(codec) for codec in offered.codecs if codec.payload_type in kept],
            **({"label": [stream.label]} if stream.label else {}),
            ("recvonly" if stream.sends else "inactive"): [],
        }
        if not attributes["rtpmap"]:
            del attributes["rtpmap"]
        media.append(
            MediaDescription(
                media="audio", port=port, proto=offered.proto, formats=[str(n) for n in kept], attributes=attributes
            )
        )
    family = "IP6" if ":" in host else "IP4"
    return serialize_sdp(
        SdpMessage(
            origin=Origin(
                username="callbridge",
                session_id=str(session_id),
                session_version=str(version),
                addr_type=family,
                address=host,
            ),
            session_name="callbridge",
            connection=ConnectionData(addr_type=family, address=host),
            media=media,
        )
    )


def legs_of(count: int) -> tuple[Leg, ...]:
    """One stream is a mix of everybody, two are the parties."""
    return (Leg.MIXED,) if count == 1 else (Leg.CALLER, Leg.AGENT)


def _taken(index: int, media: MediaDescription, sdp: SdpMessage) -> OfferedStream | None:
    if media.media != "audio" or not media.port or media.proto.upper() not in RTP_PROFILES:
        return None
    payloads = _payloads(media)
    if not any(isinstance(payload, Audio) for payload in payloads.values()):
        return None
    direction = media.direction
    own = {"sendrecv", "sendonly", "recvonly", "inactive"} & media.attributes.keys()
    if not own:  # the whole session's, where the stream has none
        direction = next((name for name in ("sendonly", "recvonly", "inactive") if name in sdp.attributes), "sendrecv")
    label = next(iter(media.attributes.get("label", [])), "").strip()
    return OfferedStream(index, storable(label)[:MAX_IDENTIFIER], direction in SENDING, payloads)


def _payloads(media: MediaDescription) -> dict[int, Payload]:
    """By number, in the order of the offer; what is not understood is left out."""
    found: dict[int, Payload] = {}
    mapped = {codec.payload_type: codec for codec in media.codecs if codec.encoding_name}
    for number in _numbers(media):
        try:
            payload = payload_of(_name(mapped[number])) if number in mapped else FIXED.get(number)
        except UnsupportedMediaError:
            continue
        if payload is not None:
            found[number] = payload
    return found


def _numbers(media: MediaDescription) -> list[int]:
    return [int(each) for each in media.formats if each.isdecimal() and len(each) <= 3 and int(each) < 128]


def _name(codec: Codec) -> str:
    rate = f"/{codec.clock_rate}" if codec.clock_rate else ""
    return f"{codec.encoding_name}{rate}" + (f"/{codec.channels}" if codec.channels else "")


def _rtpmap(codec: Codec) -> str:
    return f"{codec.payload_type} {_name(codec)}"
