"""Descriptions that come before audio does: SIPREC's bodies, metadata and offers, WHIP's offers, and RTCP's last words."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

from bridge.errors import CarrierProtocolError, InvalidRequestError, UnsupportedMediaError
from bridge.ingest.sdp import Peer
from bridge.ingest.siprec_body import read_body
from bridge.ingest.siprec_metadata import read_metadata
from bridge.ingest.siprec_sdp import answer, read_offer
from bridge.ingest.webrtc import read_description
from bridge.ingest.whip import Channels, agree
from callcodecs.errors import MalformedPacketError
from callcodecs.rtcp import bye, goodbyes
from tests.fuzz.mutation import Mutation
from tests.fuzz.parsers import Parser
from tests.sip import METADATA, multipart, sdp
from tests.whip_client import OFFER

BODY: Final = multipart(("application/sdp", sdp()), ("application/rs-metadata+xml", METADATA))
DOCUMENTS: Final = (METADATA, METADATA.replace("recording:1", "recording"), METADATA.replace("<", "<r:"))
OFFERS: Final = (sdp(), sdp("inactive", formats="9 96 0"), sdp(labels=("1",)), OFFER)
WEBRTC: Final = (
    OFFER,
    OFFER.replace("SAVPF 0", "SAVPF 111 9 126") + "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 stereo=1\r\n",
    OFFER + "a=candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host\r\na=end-of-candidates\r\n",
    OFFER + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=rtpmap:96 H264/90000\r\n",
)
US: Final = Peer(ufrag="abcd", password="0" * 22, fingerprints=(("sha-256", "AB"),), candidates=())


def draw_body(by: Mutation) -> tuple[str, bytes]:
    kind, body = BODY
    return by.text(kind) if by.chance(0.3) else kind, by.raw(body.encode())


def draw_lines(texts: tuple[str, ...], by: Mutation) -> str:
    """Some lines gone, doubled or elsewhere, or characters changed."""
    text = by.one_of(texts)
    if by.chance(0.5):
        return by.text(text)
    lines = text.splitlines()
    for _ in range(by.between(1, 3)):
        at = by.between(0, len(lines) - 1)
        lines[at : at + by.between(0, 1)] = [by.text(lines[by.between(0, len(lines) - 1)])] * by.between(0, 2)
        lines = lines or [""]
    return "\r\n".join(lines)


def read_recorded(text: str) -> None:
    """What can be read can be answered."""
    offer = read_offer(text)
    answer(offer, "192.0.2.1", [40_000 + 2 * n for n in range(len(offer.streams))], session_id=1, version=1)


def read_published(text: str) -> None:
    agree(read_description(text), Channels.MONO).answer(US, session=1)


def described() -> Mapping[str, Parser]:
    """By name."""
    return {
        "siprec-body": Parser(draw=draw_body, read=lambda given: read_body(*given), documented=(CarrierProtocolError,)),
        "siprec-metadata": Parser(
            draw=lambda by: by.raw(by.one_of(DOCUMENTS).encode()),
            read=read_metadata,
            documented=(CarrierProtocolError,),
        ),
        "siprec-offer": Parser(
            draw=partial(draw_lines, OFFERS),
            read=read_recorded,
            documented=(CarrierProtocolError, UnsupportedMediaError),
        ),
        "whip-offer": Parser(
            draw=partial(draw_lines, WEBRTC),
            read=read_published,
            documented=(CarrierProtocolError, UnsupportedMediaError, InvalidRequestError),
        ),
        "rtcp": Parser(
            draw=lambda by: by.raw(bye(1) * by.between(1, 3)), read=goodbyes, documented=(MalformedPacketError,)
        ),
    }
