"""A line that breaks off without a word, and the carrier that comes back to its call, or does not."""

from __future__ import annotations

import asyncio

import pytest

from bridge.calls import Calls
from bridge.errors import CapacityError
from bridge.model.events import CallEnded, CallStarted, MediaGap, TranscriptFinal
from bridge.model.frame import SAMPLE_RATE
from bridge.model.stream import Leg, StreamStarted, StreamStopped
from tests.clock import VirtualClock
from tests.office import Office, Phone, after, silence, started

CALLER, AGENT = Leg.CALLER, Leg.AGENT
GRACE_S = 2.0


@pytest.fixture
def office(office: Office) -> Office:
    office.calls = Calls(
        engine=office.engine,
        sink=office.sink,
        clock=office.clock,
        max_calls=1,
        language="en",
        languages=frozenset({"en"}),
        hangover_ms=500,
        resume_grace_s=GRACE_S,
    )
    return office


async def breaks(phone: Phone, clock: VirtualClock) -> None:
    phone.send(StreamStopped(reason="closed", broken=True))
    await phone.hang_up()
    await clock.settle()


def stream(carrier_call_id: str = "CA1", *legs: Leg) -> StreamStarted:
    begun = started(*legs, call_id="c1")
    return StreamStarted(
        carrier=begun.carrier,
        carrier_call_id=carrier_call_id,
        stream_id="MZ2",
        legs=begun.legs,
        media_format=begun.media_format,
        parameters=begun.parameters,
    )


async def test_a_carrier_that_comes_back_goes_on_in_its_call(office: Office) -> None:
    """One call, both halves in words, the time between named as a gap of each leg; numbers and times go on."""
    phone = await office.ring(stream())
    await phone.play({CALLER: after(0.2, 11, 22), AGENT: silence(0.2)})
    await breaks(phone, office.clock)
    await office.clock.advance(1.0)
    again = await office.ring(stream())
    assert office.calls.active() == 1
    await again.play({CALLER: after(0.2, 33, 44), AGENT: silence(0.2)})
    again.send(StreamStopped())
    await again.hang_up()
    await office.clock.advance(1.0)
    assert len(office.sink.of("c1", CallStarted)) == 1
    [end] = office.sink.of("c1", CallEnded)
    assert end.reason == "hangup"
    finals = office.sink.of("c1", TranscriptFinal)
    assert [(final.segment, final.text) for final in finals] == [(1, "w11 w22"), (2, "w33 w44")]
    gaps = {gap.leg: gap for gap in office.sink.of("c1", MediaGap)}
    half_ms = len(after(0.2, 11, 22)) * 1000 // SAMPLE_RATE
    for leg in (CALLER, AGENT):
        assert gaps[leg].reason == "reconnected"
        assert gaps[leg].at_ms == pytest.approx(half_ms, abs=40)
        assert gaps[leg].missing_ms == pytest.approx(1000, abs=40)
    assert finals[1].start_ms - finals[0].start_ms == pytest.approx(half_ms + 1000, abs=60)
    assert end.duration_ms == pytest.approx(2 * half_ms + 1000, abs=60)


async def test_a_carrier_that_does_not_come_back_has_hung_up(office: Office) -> None:
    """The call ends as `closed` when the grace is over, and is nobody's from then on."""
    phone = await office.ring(stream())
    await phone.play({CALLER: after(0.2, 11, 22)})
    await breaks(phone, office.clock)
    await office.clock.advance(GRACE_S - 0.1)
    assert office.sink.of("c1", CallEnded) == []
    await office.clock.advance(0.5)
    [end] = office.sink.of("c1", CallEnded)
    assert end.reason == "closed"
    assert office.calls.active() == 0


async def test_a_line_may_break_more_than_once(office: Office) -> None:
    """Each time it is the same call."""
    for number in (11, 22, 33):
        phone = await office.ring(stream())
        await phone.play({CALLER: after(0.2, number)})
        await breaks(phone, office.clock)
        await office.clock.advance(0.5)
    await office.clock.advance(GRACE_S)
    assert [final.text for final in office.sink.of("c1", TranscriptFinal)] == ["w11", "w22", "w33"]
    assert len(office.sink.of("c1", CallEnded)) == 1


@pytest.mark.parametrize(
    ("ours", "carrier_call_id", "legs", "tenant"),
    [
        pytest.param("CA1", "CA2", (), "acme", id="another-call"),
        pytest.param("CA1", "CA1", (CALLER,), "acme", id="other-legs"),
        pytest.param("CA1", "CA1", (), "rival", id="another-tenant"),
        pytest.param("", "", (), "acme", id="calls-without-an-id"),
    ],
)
async def test_a_stranger_does_not_get_into_the_call(
    office: Office, ours: str, carrier_call_id: str, legs: tuple[Leg, ...], tenant: str
) -> None:
    """Only the same tenant's same call comes back to it."""
    phone = await office.ring(stream(ours))
    await breaks(phone, office.clock)
    other = Phone(office.clock)
    unnamed = stream(carrier_call_id, *legs)
    unnamed = StreamStarted(
        carrier="twilio",
        carrier_call_id=carrier_call_id,
        stream_id="MZ3",
        legs=unnamed.legs,
        media_format=unnamed.media_format,
    )
    taking = asyncio.create_task(office.calls.take(unnamed, other.items(), tenant=tenant))
    await other.hang_up()
    await office.clock.advance(GRACE_S + 1.0)
    await taking
    assert len(office.sink.told) == 2
    assert [gap for call in office.sink.told for gap in office.sink.of(call, MediaGap)] == []


async def test_a_line_that_lives_is_not_taken_over(office: Office) -> None:
    """A carrier may send one call's tracks apart: a second stream is a call of its own, if there is room."""
    phone = await office.ring(stream())
    with pytest.raises(CapacityError):
        await office.calls.take(stream(), Phone(office.clock).items(), tenant="acme")
    await phone.hang_up()


async def test_a_call_waiting_for_its_carrier_can_still_be_cut_off(office: Office) -> None:
    """A shutdown does not wait for the grace: what was heard is told at once."""
    phone = await office.ring(stream())
    await phone.play({CALLER: after(0.2, 11)})
    await breaks(phone, office.clock)
    office.takes[0].cancel()
    await office.clock.advance(0.5)
    assert [final.text for final in office.sink.of("c1", TranscriptFinal)] == ["w11"]
    assert len(office.sink.of("c1", CallEnded)) == 1
