"""Plain RTP, packet by packet: who is heard, what is lost, what is silence, which keys, and when it is over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.audio.leg import LegAudio
from bridge.ingest.rtp import Expected, RtpStream
from bridge.ingest.rtp_formats import Audio, PayloadTypes, Signal, payload_of
from bridge.ingest.rtp_leg import RtpLeg, Timeline
from bridge.model.frame import AudioFrame, Gap
from bridge.model.stream import (
    Discarded,
    DtmfDigit,
    Leg,
    MediaChunk,
    StreamItem,
    StreamStarted,
    StreamStopped,
)
from callcodecs.rtcp import bye
from callcodecs.rtp import RtpPacket
from callcodecs.telephone_event import KEYS, TelephoneEvent

HOST = ("198.51.100.7", 4000)
STRANGER = ("203.0.113.5", 4000)
SSRC = 0x01020304
FRAME = 160


def a_stream(*legs: Leg, **given: object) -> RtpStream:
    legs = legs or (Leg.MIXED,)
    expected = Expected(
        carrier="rtp",
        carrier_call_id="",
        stream_id="rtp_1",
        legs=legs,
        payload_types=dict.fromkeys(legs, PayloadTypes()),
        **given,
    )
    return RtpStream(expected)


def voice(number: int, *, base: int = 65_520, ticks: int = 2**32 - 800, **changes: object) -> RtpPacket:
    """Frame `number` of a talk in PCMU; both counters wrap around in its first second."""
    packet = RtpPacket(
        payload_type=0,
        sequence=(base + number) & 0xFFFF,
        timestamp=(ticks + FRAME * number) & 0xFFFF_FFFF,
        ssrc=SSRC,
        payload=bytes([number & 0x7F]) * FRAME,
    )
    return replace(packet, **changes)


def key(
    digit: str, sequence: int, timestamp: int, duration: int, *, end: bool = False, marker: bool = False
) -> RtpPacket:
    event = TelephoneEvent(event=KEYS.index(digit), end=end, volume=10, duration=duration)
    return RtpPacket(
        payload_type=101,
        sequence=sequence & 0xFFFF,
        timestamp=timestamp & 0xFFFF_FFFF,
        ssrc=SSRC,
        payload=event.serialize(),
        marker=marker,
    )


def hear(
    stream: RtpStream, packets: Iterable[RtpPacket], leg: Leg = Leg.MIXED, *, at_s: float = 0.0
) -> list[StreamItem]:
    return [item for packet in packets for item in stream.receive(leg, packet.serialize(), HOST, at_s)]


def talk(packets: Iterable[RtpPacket], *, at_s: float = 0.0) -> list[StreamItem]:
    """All that one leg's packets come to, its end included."""
    stream = a_stream()
    return [*hear(stream, packets, at_s=at_s), *stream.stop("hangup")]


def chunks(items: Iterable[StreamItem]) -> list[MediaChunk]:
    return [item for item in items if isinstance(item, MediaChunk)]


def first_bytes(items: Iterable[StreamItem]) -> list[int]:
    return [chunk.payload[0] for chunk in chunks(items)]


def losses(items: Iterable[StreamItem]) -> list[float]:
    return [item.missing_ms for item in items if isinstance(item, Discarded)]


def as_heard(items: Sequence[StreamItem]) -> tuple[int, list[Gap]]:
    """The samples that the audio behind makes of it, and its gaps."""
    started = next(item for item in items if isinstance(item, StreamStarted))
    leg = LegAudio(started.legs[0], started.media_format)
    heard = [each for item in items if isinstance(item, MediaChunk | Discarded) for each in leg.push(item)]
    heard += leg.flush()
    frames = [each for each in heard if isinstance(each, AudioFrame)]
    return frames[-1].end, [each for each in heard if isinstance(each, Gap)]


def test_two_legs_in_one_payload() -> None:
    """Each gets every chunk and every gap, which the decoder tells apart; a key is told once."""
    audio = payload_of("PCMU")
    assert isinstance(audio, Audio)
    leg = RtpLeg((Leg.CALLER, Leg.AGENT), audio, Timeline())
    packets = [voice(n) for n in range(6) if n != 3]
    items = [item for packet in packets for item in leg.receive(packet, audio, 0.0)]
    items += leg.receive(key("5", 65_526, 0, 160), Signal.KEYS, 0.0)
    items += leg.flush()
    of_caller = [item for item in items if not isinstance(item, DtmfDigit) and item.leg is Leg.CALLER]
    assert [type(item).__name__ for item in of_caller] == [*["MediaChunk"] * 3, "Discarded", *["MediaChunk"] * 2]
    assert [replace(item, leg=Leg.CALLER) for item in items if item.leg is Leg.AGENT] == of_caller
    assert [item for item in items if isinstance(item, DtmfDigit)] == [DtmfDigit(leg=Leg.CALLER, digit="5")]


def test_a_plain_talk() -> None:
    """The first packet starts the call; its chunks are numbered and timed over both wrap-arounds."""
    items = talk(voice(n) for n in range(100))
    assert isinstance(items[0], StreamStarted)
    assert (items[0].carrier, items[0].media_format.encoding, items[0].legs) == ("rtp", "PCMU", (Leg.MIXED,))
    assert isinstance(items[-1], StreamStopped)
    assert [chunk.timestamp_ms for chunk in chunks(items)] == pytest.approx([20.0 * n for n in range(100)])
    assert [chunk.sequence for chunk in chunks(items)] == list(range(1, 101))
    assert as_heard(items) == (2 * 16_000, [])


ORDERS = {
    "twice": [n for n in range(60) for _ in range(2)],
    "pairs-swapped": [n ^ 1 for n in range(60)],
    "first-comes-late": [*range(1, 20), 0, *range(20, 60)],
    "400-ms-late": [*range(30), *range(31, 51), 30, *range(51, 60)],
    "first-and-last-late": [3, 2, 1, 0, *range(4, 56), 59, 58, 57, 56],
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_packets_in_any_order(order: list[int]) -> None:
    """What comes twice or late within half a second is heard once, in its place."""
    items = talk(voice(n) for n in order)
    assert first_bytes(items) == list(range(60))
    assert as_heard(items) == (60 * 320, [])


def test_a_first_packet_that_comes_too_late_is_named() -> None:
    """More than half a second behind the next one, it cannot be heard any more, and is not forgotten."""
    items = talk(voice(n) for n in [*range(1, 40), 0, *range(40, 60)])
    [gap] = as_heard(items)[1]
    assert (gap.position, gap.samples, gap.reason) == (0, 320, "lost")


@pytest.mark.parametrize(
    ("lost", "missing_ms"),
    [
        pytest.param({50}, [20], id="one"),
        pytest.param(set(range(50, 60)), [200], id="ten-in-a-row"),
        pytest.param({50, 52, 70}, [20, 20, 20], id="here-and-there"),
    ],
)
def test_what_is_lost_is_named(lost: set[int], missing_ms: list[int]) -> None:
    """Each hole is as long as what was in it, and everything behind it keeps its time."""
    items = talk(voice(n) for n in range(100) if n not in lost)
    assert losses(items) == pytest.approx(missing_ms)
    length, gaps = as_heard(items)
    assert length == 100 * 320
    assert [gap.samples * 1000 // 16_000 for gap in gaps] == missing_ms
    assert {gap.reason for gap in gaps} == {"lost"}


PAUSE = 400
QUIETS = {
    "marker": [
        *[voice(n) for n in range(50)],
        *[voice(n + PAUSE, base=65_520 - PAUSE, marker=n == 50) for n in range(50, 100)],
    ],
    "comfort-noise": [
        *[voice(n) for n in range(50)],
        *[voice(50 + 100 * n, base=65_520 - 99 * n, payload_type=13, payload=b"\x40") for n in range(2)],
        *[voice(n + PAUSE, base=65_522 - PAUSE) for n in range(50, 100)],
    ],
    "odd-length": [
        *[voice(n) for n in range(50)],
        *[voice(n, ticks=2**32 - 800 + PAUSE * FRAME + 37) for n in range(50, 100)],
    ],
}


@pytest.mark.parametrize("packets", QUIETS.values(), ids=QUIETS)
def test_what_is_not_sent_is_silence(packets: list[RtpPacket]) -> None:
    """A sender that suppresses silence has lost nothing: its words keep their time, and no gap is named."""
    items = talk(packets)
    assert losses(items) == []
    length, gaps = as_heard(items)
    assert gaps == []
    assert length == pytest.approx((100 + PAUSE) * 320, abs=100)


def test_a_pause_of_many_minutes() -> None:
    """Further than a clock jumps, but as much time has passed: it was silence."""
    stream = a_stream()
    items = hear(stream, (voice(n) for n in range(50)))
    items += hear(stream, [voice(n + 15_000, base=65_520 - 15_000) for n in range(50, 100)], at_s=301.0)
    items += stream.stop("hangup")
    assert as_heard(items) == (15_100 * 320, [])


@pytest.mark.parametrize("ticks", [123_456_789, 2**32 - 1_000_000], ids=["far-ahead", "far-behind"])
def test_a_timestamp_that_jumps(ticks: int) -> None:
    """A sender that counts its time anew goes on where it was."""
    items = talk([*[voice(n) for n in range(50)], *[voice(n, ticks=ticks) for n in range(50, 100)]])
    assert losses(items) == []
    assert as_heard(items) == (100 * 320, [])


def test_a_count_that_jumps() -> None:
    """Two packets that follow on each other show it; nothing is lost by it."""
    items = talk([*[voice(n) for n in range(50)], *[voice(n, base=30_000) for n in range(50, 100)]])
    assert first_bytes(items) == list(range(100))
    assert as_heard(items) == (100 * 320, [])


def test_another_source_goes_on() -> None:
    """Music on hold, a transfer: another SSRC with numbers of its own, in the same leg; what is late of the old is not."""
    other = [voice(n, base=7, ticks=99, ssrc=99) for n in range(50, 100)]
    items = talk([*[voice(n) for n in range(50)], other[0], voice(48), *other[1:], voice(48), voice(49)])
    assert first_bytes(items) == [*range(50), *range(51, 100)]
    assert as_heard(items)[0] == 99 * 320


def test_one_stray_source() -> None:
    """A single packet of another source is nobody's."""
    items = talk([*[voice(n) for n in range(50)], voice(1, ssrc=99), *[voice(n) for n in range(50, 60)]])
    assert first_bytes(items) == list(range(60))


def test_a_source_that_comes_back() -> None:
    """Off hold again: the old SSRC, further on."""
    music = [voice(n, base=7, ticks=99, ssrc=99) for n in range(50, 100)]
    back = [voice(n + 50, base=65_470) for n in range(50, 100)]
    items = talk([*[voice(n) for n in range(50)], *music, *back])
    assert as_heard(items)[0] == 150 * 320


# -- keys -----------------------------------------------------------------------------------------------------------

PRESS = [key("5", 100 + n, 8000, 400 * min(n + 1, 4), end=n >= 3, marker=n == 0) for n in range(6)]


@pytest.mark.parametrize(
    ("packets", "digits"),
    [
        pytest.param(PRESS, "5", id="whole"),
        pytest.param([PRESS[0], *PRESS, *PRESS[:2], PRESS[-1]], "5", id="sent-again"),
        pytest.param(PRESS[:1], "5", id="end-lost"),
        pytest.param(PRESS[-1:], "5", id="only-the-last-end"),
        pytest.param([PRESS[2], PRESS[0], PRESS[5], PRESS[1]], "5", id="out-of-order"),
        pytest.param(
            [*PRESS, *(replace(p, sequence=p.sequence + 6, timestamp=16_000) for p in PRESS)], "55", id="pressed-twice"
        ),
        pytest.param(
            [
                key("7", 100, 8000, 0xFFFF, marker=True),
                key("7", 101, 8000 + 0xFFFF, 0xFFFF),
                key("7", 102, 8000 + 2 * 0xFFFF, 400, end=True),
            ],
            "7",
            id="held-for-twenty-seconds",
        ),
        pytest.param([replace(PRESS[0], payload=b"\x10\x0a\x00\xa0")], "", id="hook-flash"),
        pytest.param([replace(PRESS[0], payload=b"\x05")], "", id="cut-off"),
        pytest.param([key(digit, 100 + n, 8000 * n + 8000, 400) for n, digit in enumerate("*#D")], "*#D", id="others"),
    ],
)
def test_keys(packets: list[RtpPacket], digits: str) -> None:
    """One event a press, whatever is lost of it or sent again; and no key is missing audio."""
    speech = [voice(n, base=0, ticks=0) for n in range(100)]
    items = talk([*speech, *packets, *[voice(n, base=len(packets) + 2, ticks=0) for n in range(100, 200)]])
    pressed = [item for item in items if isinstance(item, DtmfDigit)]
    assert "".join(item.digit for item in pressed) == digits


def test_keys_take_the_place_of_speech() -> None:
    """A sender that stops the voice for its keys loses nothing by it."""
    press = [replace(packet, sequence=50 + n, timestamp=50 * FRAME) for n, packet in enumerate(PRESS)]
    items = talk(
        [*[voice(n, base=0, ticks=0) for n in range(50)], *press, *[voice(n, base=-4, ticks=0) for n in range(60, 99)]]
    )
    assert losses(items) == []
    assert as_heard(items) == (99 * 320, [])


# -- who is heard ---------------------------------------------------------------------------------------------------


def test_the_first_to_send_has_the_leg() -> None:
    """Others are counted, even on the same host."""
    stream = a_stream()
    hear(stream, [voice(0)])
    for source in (STRANGER, (HOST[0], HOST[1] + 1)):
        assert stream.receive(Leg.MIXED, voice(1).serialize(), source, 0.0) == []
    assert stream.source(Leg.MIXED) == HOST
    assert (stream.counts(Leg.MIXED).received, stream.counts(Leg.MIXED).strangers) == (1, 2)


@pytest.mark.parametrize(
    "datagram",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x00\x01" + bytes(18), id="stun"),
        pytest.param(b"\x16\xfe\xfd" + bytes(20), id="dtls"),
        pytest.param(voice(0, payload_type=96).serialize(), id="unexplained-type"),
        pytest.param(voice(0, payload_type=18).serialize(), id="g729"),
    ],
)
def test_what_cannot_be_read_takes_no_leg(datagram: bytes) -> None:
    """It neither starts a call nor decides whose the leg is."""
    stream = a_stream()
    assert stream.receive(Leg.MIXED, datagram, STRANGER, 0.0) == []
    assert stream.source(Leg.MIXED) is None
    assert [type(item) for item in hear(stream, [voice(0)])] == [StreamStarted]


def test_only_where_it_may_come_from() -> None:
    """A host that was not named is a stranger, even as the first."""
    stream = a_stream(may_send=lambda host: host == HOST[0])
    assert stream.receive(Leg.MIXED, voice(0).serialize(), STRANGER, 0.0) == []
    assert len(hear(stream, [voice(0)])) == 1
    assert stream.counts(Leg.MIXED).strangers == 1


def test_another_codec_in_mid_call() -> None:
    """It is not read as what it is not."""
    stream = a_stream()
    hear(stream, [voice(0), voice(1, payload_type=8)])
    assert (stream.counts(Leg.MIXED).received, stream.counts(Leg.MIXED).unread) == (1, 1)
    assert stream.unread_types == {8}


def test_legs_have_one_time() -> None:
    """A leg that begins later is later; a few milliseconds are the network's."""
    stream = a_stream(Leg.CALLER, Leg.AGENT)
    items = hear(stream, (voice(n) for n in range(30)), Leg.CALLER, at_s=10.0)
    items += hear(stream, (voice(n, ticks=77) for n in range(30)), Leg.AGENT, at_s=10.03)
    assert next(chunk.timestamp_ms for chunk in chunks(items) if chunk.leg is Leg.AGENT) == 0.0
    late = a_stream(Leg.CALLER, Leg.AGENT)
    items = hear(late, (voice(n) for n in range(30)), Leg.CALLER, at_s=10.0)
    items += hear(late, (voice(n, ticks=77) for n in range(30)), Leg.AGENT, at_s=12.0)
    assert next(chunk.timestamp_ms for chunk in chunks(items) if chunk.leg is Leg.AGENT) == pytest.approx(2_000)


# -- the end --------------------------------------------------------------------------------------------------------


def test_a_goodbye() -> None:
    """RTCP BYE of the leg's source hangs up, on either port; what was held comes first."""
    for muxed in (True, False):
        stream = a_stream()
        hear(stream, [voice(0), voice(1)])
        say = stream.receive if muxed else stream.control
        source = HOST if muxed else (HOST[0], HOST[1] + 1)
        items = say(Leg.MIXED, bye(SSRC), source, 0.0)
        assert [type(item) for item in items] == [MediaChunk, MediaChunk, StreamStopped]
        assert items[-1] == StreamStopped(reason="hangup")
        assert hear(stream, [voice(2)]) == stream.stop("closed") == []


def test_a_goodbye_of_one_leg() -> None:
    """The call goes on until both have left; who speaks again has not."""
    stream = a_stream(Leg.CALLER, Leg.AGENT)
    for leg in (Leg.CALLER, Leg.AGENT):
        hear(stream, [voice(0)], leg)
    assert stream.control(Leg.CALLER, bye(SSRC), HOST, 0.0) == []
    hear(stream, [voice(1)], Leg.CALLER)
    assert stream.control(Leg.AGENT, bye(SSRC), HOST, 0.0) == []
    assert stream.control(Leg.CALLER, bye(SSRC), HOST, 0.0)[-1] == StreamStopped(reason="hangup")


@pytest.mark.parametrize(
    ("control", "source"),
    [
        pytest.param(bye(99), HOST, id="another-source"),
        pytest.param(bye(SSRC), STRANGER, id="a-stranger"),
        pytest.param(bye(SSRC)[:-2], HOST, id="cut-off"),
        pytest.param(b"\x81\xc8\x00\x01" + bytes(4), HOST, id="a-report"),
    ],
)
def test_no_goodbye(control: bytes, source: tuple[str, int]) -> None:
    """Reports are ignored, and nobody hangs up for others."""
    stream = a_stream()
    hear(stream, [voice(0)])
    assert stream.control(Leg.MIXED, control, source, 0.0) == []
    assert not stream.stopped


def test_an_end_before_the_start() -> None:
    """There was no call, and none is told."""
    assert a_stream().stop("closed") == []


# -- payload types --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "number", "encoding", "clock_rate"),
    [
        pytest.param(PayloadTypes(), 0, "PCMU", 8000, id="PCMU"),
        pytest.param(PayloadTypes(), 8, "PCMA", 8000, id="PCMA"),
        pytest.param(PayloadTypes(), 9, "G722", 8000, id="G722"),
        pytest.param(PayloadTypes(), 11, "L16BE", 44100, id="RFC-3551-s-11"),
        pytest.param(PayloadTypes(codec=payload_of("L16/8000")), 10, "L16BE", 8000, id="Asterisk-s-10"),
        pytest.param(PayloadTypes(codec=payload_of("L16/8000")), 11, "L16BE", 8000, id="Asterisk-s-11"),
        pytest.param(PayloadTypes(), 118, "L16BE", 16000, id="Asterisk-s-slin16"),
        pytest.param(PayloadTypes(codec=payload_of("opus")), 111, "OPUS", 48000, id="any-number"),
        pytest.param(PayloadTypes(told={96: payload_of("L16/24000/1")}), 96, "L16BE", 24000, id="told"),
        pytest.param(PayloadTypes(codec=payload_of("opus")), 0, "PCMU", 8000, id="fixed-all-the-same"),
    ],
)
def test_payload_types(given: PayloadTypes, number: int, encoding: str, clock_rate: int) -> None:
    """What is told counts first, then what is fixed, then what was asked for, then what is assumed."""
    found = given.of(number)
    assert (found.media_format.encoding, found.clock_rate) == (encoding, clock_rate)


# -- whatever comes -------------------------------------------------------------------------------------------------

packets = st.builds(
    RtpPacket,
    payload_type=st.sampled_from([0, 0, 0, 8, 13, 18, 101, 107]),
    sequence=st.integers(0, 40) | st.integers(0, 65_535),
    timestamp=st.integers(0, 40).map(lambda n: n * 160) | st.integers(0, 2**32 - 1),
    ssrc=st.integers(1, 3),
    payload=st.binary(max_size=12) | st.just(b"\xff" * 160),
    marker=st.booleans(),
).map(RtpPacket.serialize)
datagrams = packets | st.binary(max_size=40) | st.integers(1, 3).map(bye) | packets.map(lambda data: data[:-3])


@given(
    came=st.lists(
        st.tuples(st.sampled_from([Leg.CALLER, Leg.AGENT]), datagrams, st.sampled_from([HOST, STRANGER])), max_size=40
    )
)
def test_whatever_comes(came: list[tuple[Leg, bytes, tuple[str, int]]]) -> None:
    """Nothing raises; the start is first and once, the end last and once, chunks in time are numbered, times go on."""
    stream = a_stream(Leg.CALLER, Leg.AGENT)
    items: list[StreamItem] = []
    for n, (leg, datagram, source) in enumerate(came):
        items += stream.receive(leg, datagram, source, n / 50)
    items += stream.stop("hangup")
    assert [n for n, item in enumerate(items) if isinstance(item, StreamStarted)] in ([], [0])
    assert [n for n, item in enumerate(items) if isinstance(item, StreamStopped)] in ([], [len(items) - 1])
    for leg in (Leg.CALLER, Leg.AGENT):
        of_leg = [chunk for chunk in chunks(items) if chunk.leg is leg and chunk.timestamp_ms is not None]
        assert [chunk.sequence for chunk in of_leg] == list(range(1, len(of_leg) + 1))
        assert all(0 <= chunk.timestamp_ms < 1e9 for chunk in of_leg)
    assert all(missing > 0 for missing in losses(items))
