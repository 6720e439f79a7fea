"""A track's packets as tables of what came and what it says."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import CarrierProtocolError
from bridge.ingest.rtp_track import MOST_SOURCES, RtpTrack
from bridge.model.stream import DtmfDigit, Leg, MediaChunk, StreamItem
from callcodecs.rtp import RtpPacket
from callcodecs.telephone_event import TelephoneEvent

SPEECH, KEYS = 111, 126
FIRST = RtpPacket(payload_type=SPEECH, sequence=0xFFFE, timestamp=0xFFFFFFFF, ssrc=7, payload=b"0")


def packet(number: int, *, ssrc: int = 7, base: RtpPacket = FIRST) -> RtpPacket:
    """The packet of the track's `number`th 20 ms; numbers wrap with the second, times with the first."""
    return replace(
        base,
        ssrc=ssrc,
        sequence=(base.sequence + number) % 2**16,
        timestamp=(base.timestamp + 960 * number) % 2**32,
        payload=str(number).encode(),
    )


def key(number: int, event: int, *, began: int) -> RtpPacket:
    """A packet of a key pressed down at the `began`th 20 ms."""
    payload = TelephoneEvent(event=event, end=False, volume=10, duration=960).serialize()
    return replace(packet(number), payload_type=KEYS, timestamp=packet(began).timestamp, payload=payload)


def track(*legs: Leg) -> RtpTrack:
    return RtpTrack(legs or (Leg.CALLER,), clock_rate=48_000, payload_type=SPEECH, keys=KEYS)


def said(items: list[StreamItem]) -> list[tuple[str, int | None, float | None]]:
    return [(each.payload.decode(), each.sequence, each.timestamp_ms) for each in items if isinstance(each, MediaChunk)]


def heard(packets: list[RtpPacket], *legs: Leg) -> list[StreamItem]:
    hearing = track(*legs)
    return [item for each in packets for item in hearing.receive(each)]


@pytest.mark.parametrize(
    ("came", "chunks"),
    [
        pytest.param([0, 1, 2, 3], [("0", 0, 0), ("1", 1, 20), ("2", 2, 40), ("3", 3, 60)], id="in-order"),
        pytest.param([0, 3, 1], [("0", 0, 0), ("3", 3, 60), ("1", 1, 20)], id="late"),
        pytest.param([0, 1, 1], [("0", 0, 0), ("1", 1, 20), ("1", 1, 20)], id="twice"),
        pytest.param([0, -1], [("0", 0, 0)], id="from-before-the-first"),
    ],
)
def test_numbers_and_times(came: list[int], chunks: list[tuple[str, int, float]]) -> None:
    """They go on beyond the wrap-around of either, from 0; order and loss are left to who hears them."""
    assert said(heard([packet(number) for number in came])) == chunks


def test_each_leg_gets_the_whole_packet() -> None:
    """Two parties in one payload are told apart by the decoder."""
    legs = [(item.leg, item.payload) for item in heard([packet(0)], Leg.CALLER, Leg.AGENT)]
    assert legs == [(Leg.CALLER, b"0"), (Leg.AGENT, b"0")]


def test_another_source_goes_on_in_the_track() -> None:
    """A new SSRC has numbers and times of its own; its first packet is the next one."""
    other = replace(FIRST, sequence=9, timestamp=77)
    items = heard([packet(0), packet(1), packet(0, ssrc=8, base=other), packet(1, ssrc=8, base=other)])
    assert said(items) == [("0", 0, 0), ("1", 1, 20), ("0", 2, 40), ("1", 3, 60)]


def test_a_track_of_ever_new_sources() -> None:
    """It is none."""
    with pytest.raises(CarrierProtocolError):
        heard([packet(0, ssrc=number) for number in range(MOST_SOURCES + 1)])


def test_a_key() -> None:
    """All packets of a press tell it once; they take audio's numbers, so nothing is missing meanwhile."""
    items = heard([packet(0), key(1, 5, began=1), key(2, 5, began=1), key(3, 11, began=3), packet(4)])
    assert [item.digit for item in items if isinstance(item, DtmfDigit)] == ["5", "#"]
    assert [number for _, number, _ in said(items)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("payload", [pytest.param(b"\x05", id="short"), pytest.param(bytes([16, 0, 0, 1]), id="flash")])
def test_what_is_no_key(payload: bytes) -> None:
    """It is passed over."""
    items = heard([replace(key(1, 5, began=1), payload=payload)])
    assert [type(item) for item in items] == [MediaChunk]


def test_other_payload_types_are_not_heard() -> None:
    """They were not agreed upon."""
    assert heard([replace(packet(0), payload_type=13)]) == []


@given(
    st.lists(
        st.builds(
            RtpPacket,
            payload_type=st.sampled_from([SPEECH, KEYS, 13]),
            sequence=st.integers(0, 2**16 - 1),
            timestamp=st.integers(0, 2**32 - 1),
            ssrc=st.integers(0, 3),
            payload=st.binary(max_size=8),
        ),
        max_size=40,
    )
)
def test_any_packets(packets: list[RtpPacket]) -> None:
    """Whatever comes, in whatever order: chunks with a place, keys of a phone, or the documented fault."""
    try:
        items = heard(packets)
    except CarrierProtocolError:
        return
    for item in items:
        if isinstance(item, MediaChunk):
            assert item.sequence is not None and item.sequence >= 0  # noqa: PT018
            assert item.timestamp_ms is not None and item.timestamp_ms >= 0  # noqa: PT018
        else:
            assert isinstance(item, DtmfDigit)
