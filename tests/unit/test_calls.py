"""Who is let in, under which name, and what a call may choose."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bridge.calls import MOST_KEYWORDS
from bridge.errors import CapacityError, ConflictError, UnsupportedMediaError
from bridge.model.events import TranscriptFinal
from bridge.model.stream import Encoding, Leg, MediaFormat, StreamItem
from tests.office import Office, after, silence, started

CALLER = Leg.CALLER


async def test_a_full_house_refuses_before_it_reads(office: Office) -> None:
    """One call too many gets CapacityError with a time to come back; when one ends there is room."""
    office.calls = office.of(max_calls=1)
    phone = await office.ring(started(call_id="c1"))
    with pytest.raises(CapacityError) as refused:
        await office.calls.take(started(call_id="c2"), _never(), tenant="acme")
    assert refused.value.details["retry_after"] > 0
    assert "c2" not in office.sink.told
    await phone.hang_up()
    office.calls.check_room()


async def test_one_tenant_may_not_have_all_of_the_house(office: Office) -> None:
    """With a limit of its own, its next call is refused while another tenant's is let in."""
    office.calls = office.of(max_calls=3, tenant_max_calls=1)
    phone = await office.ring(started(call_id="c1"))
    with pytest.raises(CapacityError, match="one tenant"):
        await office.calls.take(started(call_id="c2"), _never(), tenant="acme")
    office.calls.check_room("other")
    office.calls.check_room()
    await phone.hang_up()
    office.calls.check_room("acme")


async def test_a_call_id_in_use_is_a_conflict(office: Office) -> None:
    """The call that has it goes on undisturbed."""
    phone = await office.ring(started(call_id="c1"))
    with pytest.raises(ConflictError):
        await office.calls.take(started(call_id="c1"), _never(), tenant="acme")
    assert office.calls.active() == 1
    await phone.play({CALLER: after(0.1, 11)})
    await phone.hang_up()
    assert [final.text for final in office.sink.of("c1", TranscriptFinal)] == ["w11"]


async def test_a_stream_that_nobody_can_decode_leaves_nothing_behind(office: Office) -> None:
    """It is refused before the call exists."""
    stream = replace(started(call_id="c1"), media_format=MediaFormat(encoding=Encoding.PCMU, sample_rate=0))
    with pytest.raises(UnsupportedMediaError):
        await office.calls.take(stream, _never(), tenant="acme")
    assert (office.sink.told, office.calls.active()) == ({}, 0)


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
        ("order-447", True),
        ("a" * 128, True),
        ("a" * 129, False),
        ("", False),
        ("../secret", False),
        ("-starts-with-a-dash", False),
        ("two words", False),
        ("line\n", False),
    ],
)
async def test_a_chosen_call_id_is_kept_if_it_is_one(office: Office, wanted: str, kept: bool) -> None:
    """Anything else is left aside and an id is minted."""
    phone = await office.ring(started(call_id=wanted))
    await phone.hang_up()
    [call_id] = office.sink.told
    assert (call_id == wanted) is kept
    assert kept or call_id.startswith("call_")


@pytest.mark.parametrize(
    ("given", "language"),
    [
        pytest.param({"language": "de"}, "de", id="named"),
        pytest.param({"language": " DE-at "}, "de", id="with a region"),
        pytest.param({"language": "tlh"}, "en", id="unknown: the server's own"),
        pytest.param({"language": "auto"}, "en", id="auto: the server's own"),
        pytest.param({}, "en", id="not given"),
    ],
)
async def test_a_call_may_choose_its_language(office: Office, given: dict[str, str], language: str) -> None:
    """A parameter says which; what the model does not know leaves the server's setting."""
    phone = await office.ring(started(call_id="c1", **given))
    await phone.play({CALLER: after(0.1, 11)})
    await phone.hang_up()
    assert {job.language for job in office.engine.jobs} == {language}


@pytest.mark.parametrize(
    ("given", "keywords"),
    [
        ("Kaczmarek, Harbor Lane ,,", ("Kaczmarek", "Harbor Lane")),
        ("", ()),
        (",".join(f"k{n}" for n in range(80)), tuple(f"k{n}" for n in range(MOST_KEYWORDS))),
    ],
    ids=["listed", "none", "too many"],
)
async def test_a_calls_keywords_reach_every_decode(office: Office, given: str, keywords: tuple[str, ...]) -> None:
    """Split at commas, trimmed, and not more than can help."""
    phone = await office.ring(started(call_id="c1", keywords=given))
    await phone.play({CALLER: after(0.1, 11, 22)})
    await phone.hang_up()
    assert {job.keywords for job in office.engine.jobs} == {keywords}


async def _never() -> AsyncIterator[StreamItem]:
    raise AssertionError("read before it was let in")
    yield


@pytest.mark.parametrize(
    ("given", "ends_after_s"),
    [
        pytest.param({}, 0.5, id="as-usual"),
        pytest.param({"endpointing_ms": "1500"}, 1.5, id="later"),
        pytest.param({"endpointing_ms": "10"}, 0.1, id="as-soon-as-may-be"),
        pytest.param({"endpointing_ms": "soon"}, 0.5, id="no-number"),
        pytest.param({"endpointing_ms": "nan"}, 0.5, id="not-a-number-either"),
    ],
)
async def test_a_call_may_choose_how_long_a_pause_ends_speech(
    office: Office, given: dict[str, str], ends_after_s: float
) -> None:
    """Silence of that length, and no shorter one, is the end of what somebody says."""
    phone = await office.ring(started(CALLER, call_id="c1", **given))
    await phone.play({CALLER: after(0.1, 11, then=max(0.0, ends_after_s - 0.15))})
    assert "speech.ended" not in office.sink.kinds("c1")
    await phone.play({CALLER: silence(0.3)})
    assert "speech.ended" in office.sink.kinds("c1")
    await phone.hang_up()


async def test_a_call_may_do_without_partials(office: Office) -> None:
    """Nobody looks at them: none is decoded, and their stopping is no news."""
    phone = await office.ring(started(CALLER, call_id="c1", partials="off"))
    await phone.play({CALLER: after(0.1, 11, 22, 33, 44, 55)})
    await phone.hang_up()
    await office.clock.advance(1.0)
    assert not {"transcript.partial", "call.degraded"} & set(office.sink.kinds("c1"))
    assert "transcript.final" in office.sink.kinds("c1")
