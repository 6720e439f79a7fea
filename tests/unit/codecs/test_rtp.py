"""RTP packets, good and broken, there and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcodecs.errors import MalformedPacketError
from callcodecs.rtp import RtpExtension, RtpPacket, is_rtcp

PCMU = bytes.fromhex("80000001000000a001020304") + b"\xff" * 160

words = st.binary(max_size=24).map(lambda data: data[: len(data) // 4 * 4])
u32 = st.integers(0, 2**32 - 1)
rtp = st.builds(
    RtpPacket,
    payload_type=st.integers(0, 127),
    sequence=st.integers(0, 65_535),
    timestamp=u32,
    ssrc=u32,
    payload=st.binary(max_size=40),
    marker=st.booleans(),
    csrcs=st.lists(u32, max_size=15).map(tuple),
    extension=st.none() | st.builds(RtpExtension, profile=st.integers(0, 65_535), data=words),
    padding=st.integers(0, 255),
)


def test_the_reference_packet() -> None:
    """media-streams.md §11: PCMU, sequence 1, timestamp 160."""
    packet = RtpPacket(payload_type=0, sequence=1, timestamp=160, ssrc=0x01020304, payload=b"\xff" * 160)
    assert RtpPacket.parse(PCMU) == packet
    assert packet.serialize() == PCMU
    assert repr(packet) == "RtpPacket(seq=1, ts=160, pt=0, ssrc=01020304, marker=False, 160 bytes)"


def test_every_part() -> None:
    """Marker, sources, extension and padding are told apart from the payload."""
    wire = bytes.fromhex(
        "b2e00002 00000140 01020304 0000000a 0000000b bede0001 10ff0000 0102 00000003".replace(" ", "")
    )
    packet = RtpPacket.parse(wire)
    assert packet == RtpPacket(
        payload_type=96,
        sequence=2,
        timestamp=320,
        ssrc=0x01020304,
        payload=b"\x01\x02\x00",
        marker=True,
        csrcs=(10, 11),
        extension=RtpExtension(profile=0xBEDE, data=b"\x10\xff\x00\x00"),
        padding=3,
    )
    assert packet.serialize() == wire


@pytest.mark.parametrize(
    ("wire", "fault"),
    [
        pytest.param(b"", "0 bytes", id="empty"),
        pytest.param(PCMU[:11], "11 bytes", id="short-header"),
        pytest.param(b"\x40" + PCMU[1:], "version 1", id="version"),
        pytest.param(b"\x8f" + PCMU[1:60], "15 contributing sources", id="csrcs-cut-off"),
        pytest.param(b"\x90" + PCMU[1:14], "head of its extension", id="extension-head-cut-off"),
        pytest.param(
            b"\x90" + PCMU[1:12] + b"\xbe\xde\x00\x02\x00\x00\x00\x00", "extension of 2 words", id="extension-cut-off"
        ),
        pytest.param(b"\xa0" + PCMU[1:12] + b"\x01\x02\x04", "4 bytes of padding in 3", id="padding-too-long"),
        pytest.param(b"\xa0" + PCMU[1:12] + b"\x01\x02\x00", "0 bytes of padding in 3", id="padding-of-none"),
        pytest.param(b"\xa0" + PCMU[1:12], "padding in 0", id="padding-missing"),
    ],
)
def test_what_is_no_packet(wire: bytes, fault: str) -> None:
    """Each wrong length is found before it is used, and named."""
    with pytest.raises(MalformedPacketError, match=fault):
        RtpPacket.parse(wire)


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(RtpPacket(payload_type=128, sequence=0, timestamp=0, ssrc=0), id="payload-type"),
        pytest.param(RtpPacket(payload_type=0, sequence=65_536, timestamp=0, ssrc=0), id="sequence"),
        pytest.param(RtpPacket(payload_type=0, sequence=0, timestamp=-1, ssrc=0), id="timestamp"),
        pytest.param(RtpPacket(payload_type=0, sequence=0, timestamp=0, ssrc=0, csrcs=(0,) * 16), id="csrcs"),
        pytest.param(RtpPacket(payload_type=0, sequence=0, timestamp=0, ssrc=0, padding=256), id="padding"),
        pytest.param(
            RtpPacket(payload_type=0, sequence=0, timestamp=0, ssrc=0, extension=RtpExtension(profile=0, data=b"123")),
            id="extension",
        ),
    ],
)
def test_what_does_not_fit(packet: RtpPacket) -> None:
    """A value without room in its field is refused, not cut."""
    with pytest.raises(ValueError, match="RTP"):
        packet.serialize()


@given(rtp)
def test_there_and_back(packet: RtpPacket) -> None:
    """What was serialised is parsed to the same packet."""
    assert RtpPacket.parse(packet.serialize()) == packet


@given(st.binary(max_size=64))
def test_any_bytes(data: bytes) -> None:
    """Any datagram is a packet that serialises to the same length, or is refused as documented."""
    try:
        packet = RtpPacket.parse(data)
    except MalformedPacketError:
        return
    assert len(packet.serialize()) == len(data)


@pytest.mark.parametrize(
    ("data", "rtcp"),
    [
        (b"\x80\xc8", True),
        (b"\x80\xdf", True),
        (b"\x80\x60", False),
        (b"\x80\xe0", False),
        (b"\x00\xc8", False),
        (b"", False),
    ],
)
def test_rtcp_on_a_shared_port(data: bytes, rtcp: bool) -> None:
    """The second byte tells RTCP from RTP (RFC 5761 §4)."""
    assert is_rtcp(data) is rtcp
