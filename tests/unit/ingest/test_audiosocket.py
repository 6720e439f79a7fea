"""AudioSocket's packets, and what a connection says that is cut and mixed at will."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import CarrierAuthError, CarrierError
from bridge.ingest.audiosocket import LONGEST, RATES, AudioSocketStream, Expected, Kind, Packets, packet
from bridge.model.stream import DtmfDigit, Leg, MediaChunk, StreamStarted, StreamStopped
from tests.wire import WIRE, read

UUID = "40325ec2-5efd-4bd3-805f-53576e581d13"

kinds = st.sampled_from([*map(int, Kind), *RATES, 0x02, 0x77])
payloads = st.binary(max_size=40) | st.sampled_from([b"5", b"#", b"\x01", b"\x02", bytes(16), bytes(320)])
packets = st.builds(packet, kinds, payloads)


@pytest.mark.parametrize(
    ("built", "wire"),
    [
        pytest.param(
            packet(Kind.UUID, bytes.fromhex(UUID.replace("-", ""))), "010010" + UUID.replace("-", ""), id="uuid"
        ),
        pytest.param(packet(0x10, bytes(320)), "100140" + "00" * 320, id="20-ms-of-silence"),
        pytest.param(packet(Kind.HANG_UP), "000000", id="hang-up"),
    ],
)
def test_packets_as_they_are_written(built: bytes, wire: str) -> None:
    """Kind, length (big-endian), payload."""
    assert built.hex() == wire


@given(said=st.lists(packets, max_size=8), cuts=st.lists(st.integers(0, 800), max_size=8))
def test_any_cutting_gives_the_same_packets(said: Sequence[bytes], cuts: Sequence[int]) -> None:
    """TCP may split and join them as it likes; what is held is never a whole one."""
    run, cutter, heard = b"".join(said), Packets(), []
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(run)], strict=True):
        heard += cutter.feed(run[begin:end])
        assert len(cutter._held) < LONGEST
    assert heard == list(said)
    assert not cutter.unfinished


@given(said=st.lists(packets | st.binary(max_size=8), max_size=12), opened=st.booleans())
def test_packets_in_any_order(said: Sequence[bytes], opened: bool) -> None:
    """Values or a documented fault, which changes nothing: the start first and once, the end once, one leg."""
    hearing = AudioSocketStream(lambda _uuid: Expected(leg=Leg.MIXED))
    items = []
    for message in [packet(Kind.UUID, bytes(16)), packet(0x12, bytes(640)), *said] if opened else said:
        before = copy.deepcopy(vars(hearing))
        try:
            items += hearing.receive(message)
        except CarrierError:
            assert vars(hearing) == before
    assert [n for n, item in enumerate(items) if isinstance(item, StreamStarted)] == ([0] if items else [])
    assert sum(isinstance(item, StreamStopped) for item in items) <= 1
    assert {item.leg for item in items if isinstance(item, MediaChunk | DtmfDigit)} <= {Leg.MIXED}


@pytest.mark.parametrize(("kind", "rate"), RATES.items(), ids=map(str, RATES.values()))
def test_silence_of_the_kind_that_is_heard(kind: int, rate: int) -> None:
    """20 ms of it, at 8 kHz until audio has come."""
    hearing = AudioSocketStream()
    assert hearing.silence == packet(0x10, bytes(320))
    for message in (packet(Kind.UUID, bytes(16)), packet(kind, bytes(2))):
        hearing.receive(message)
    assert hearing.silence == packet(kind, bytes(2 * (rate // 50)))


def test_what_was_told_of_a_call_before_it_came() -> None:
    """By its UUID, asked for once, and before any audio is heard."""
    asked = []

    def expect(uuid: str) -> Expected:
        asked.append(uuid)
        return Expected(leg=Leg.AGENT, parameters={"language": "de"})

    hearing = AudioSocketStream(expect)
    items = [item for message in read(WIRE / "audiosocket" / "keys.jsonl")[1] for item in hearing.receive(message)]
    started = items[0]
    assert asked == [UUID]
    assert isinstance(started, StreamStarted)
    assert (started.carrier_call_id, started.legs, started.parameters) == (UUID, (Leg.AGENT,), {"language": "de"})
    assert {item.leg for item in items[1:]} == {Leg.AGENT}


def test_a_uuid_that_may_not_come() -> None:
    """It is refused by name, and nothing of the connection is heard."""

    def nobody(uuid: str) -> Expected:
        raise CarrierAuthError(f"{uuid} is not expected")

    hearing = AudioSocketStream(nobody)
    with pytest.raises(CarrierAuthError, match="is not expected"):
        hearing.receive(packet(Kind.UUID, bytes(16)))
    with pytest.raises(CarrierError, match="AUDIO while NEW"):
        hearing.receive(packet(0x10, bytes(320)))
