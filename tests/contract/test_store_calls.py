"""CallStore: what calls say is kept, and read back as it was."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest
from sqlalchemy import text

from bridge.errors import ConflictError, InvalidRequestError, NotFoundError
from bridge.model.call_key import CallKey
from bridge.model.events import MediaGap, TranscriptFinal
from bridge.model.records import CallFilter, CallStatus, Delivery, DeliveryFilter, DeliveryStatus
from bridge.model.stream import Leg
from bridge.ports import Store
from tests.contract.builders import an_endpoint, claimed
from tests.story import START, Story, acmes, ended, final, named, partial, revised, segment, started


async def test_a_call_from_start_to_settled(store: Store) -> None:
    """A call's record follows its events: in progress, completed, settled."""
    story = Story()
    await store.append(story.tell(started(agent="Ann")))
    begun = await store.call("acme", "call-1")
    assert begun.status is CallStatus.IN_PROGRESS
    assert (begun.carrier, begun.carrier_call_id, begun.codec, begun.sample_rate) == ("twilio", "CA1", "PCMU", 8000)
    assert begun.legs == (Leg.CALLER, Leg.AGENT)
    assert begun.metadata == {"agent": "Ann"}
    assert (begun.started_at, begun.ended_at, begun.last_seq) == (START, None, 1)

    await store.append(story.tell(final(1, "good morning"), ended()))
    over = await store.call("acme", "call-1")
    assert (over.status, over.reason, over.error, over.duration_ms) == (CallStatus.COMPLETED, "hangup", None, 60_000)
    assert (over.ended_at, over.last_seq, over.settled) == (START + 2, 3, False)

    await store.settle(acmes("call-1"), START + 10)
    assert await store.call("acme", "call-1") == dataclasses.replace(over, settled=True)


async def test_a_call_that_ends_with_an_error_has_failed(store: Store) -> None:
    """The code of the error that ended a call is part of its record."""
    await store.append(Story().tell(started(), ended("error", "carrier_protocol")))
    call = await store.call("acme", "call-1")
    assert (call.status, call.reason, call.error) == (CallStatus.FAILED, "error", "carrier_protocol")


async def test_who_speaks_at_the_same_time_is_kept_with_the_word_and_left_out_where_nobody_does(store: Store) -> None:
    """In the transcript, in events and in what is delivered."""
    alone, both = segment(1, "yes").words[0], dataclasses.replace(segment(1, "a yes").words[1], overlap="S2")
    said = dataclasses.replace(segment(1, "yes yes"), words=(alone, both))
    happened = Story().tell(started(), TranscriptFinal.of(segment(1, "yes yes")), revised([1], said), ended())
    await store.create_endpoint(an_endpoint())
    await store.append(happened)
    assert (await store.segments("acme", "call-1"))[0].words == (alone, both)
    assert await store.events("acme", "call-1", after=0, limit=9) == happened
    await store.settle(acmes("call-1"), START + 10)
    [due] = await claimed(store, START + 10)
    told = [due.payload["data"]["transcript"]["segments"][0], happened[2].to_dict()["segments"][0]]
    assert [[word.get("overlap", "nobody") for word in one["words"]] for one in told] == [["nobody", "S2"]] * 2
    assert all("overlap" not in one["words"][0] for one in told)


async def test_events_come_back_as_they_were(store: Store) -> None:
    """What was appended is read back equal, in order, from any place, in pages."""
    happened = Story().tell(
        started(agent="Zoë ☎ \x01"),
        partial(1, "good"),
        final(1, "good morning"),
        MediaGap(leg=Leg.AGENT, at_ms=7, missing_ms=20),
        revised([1], segment(1, "Good morning.")),
        named(1, "S1"),
        ended("error", "internal"),
    )
    await store.append(happened)
    assert await store.events("acme", "call-1", after=0, limit=100) == happened
    assert await store.events("acme", "call-1", after=2, limit=3) == happened[2:5]
    assert await store.events("acme", "call-1", after=7, limit=3) == []


async def test_what_a_carrier_may_call_a_call(store: Store) -> None:
    """Metadata of any kind, even half a character, is kept and given back."""
    odd = {"half": "\ud83d", "nul": "\x00", "quote": "'\"\\"}
    await store.append(Story().tell(started(**odd)))
    assert (await store.call("acme", "call-1")).metadata == odd
    [event] = await store.events("acme", "call-1", after=0, limit=9)
    assert event.body == started(**odd)


@pytest.mark.parametrize("together", [True, False], ids=["in-one-batch", "one-by-one"])
async def test_the_transcript_follows_finals_revisions_and_names(store: Store, together: bool) -> None:
    """Finals add, revisions replace, speaker updates name; both legs come by start time."""
    happened = Story().tell(
        started(),
        final(1, "hello", start_ms=0),
        final(1, "hi there", leg=Leg.AGENT, start_ms=500),
        final(2, "fourty two", start_ms=2000),
        final(3, "please", start_ms=3000),
        named(1, "S2", leg=Leg.AGENT),
        revised([2, 3], segment(2, "Forty-two, please.", start_ms=2000)),
        named(2, "S1"),
        named(9, "S9"),
    )
    for batch in [happened] if together else [[event] for event in happened]:
        await store.append(batch)
    assert await store.segments("acme", "call-1") == [
        segment(1, "hello", start_ms=0),
        dataclasses.replace(segment(1, "hi there", leg=Leg.AGENT, start_ms=500), speaker="S2"),
        dataclasses.replace(segment(2, "Forty-two, please.", start_ms=2000), speaker="S1"),
    ]


async def test_a_repeated_write_changes_nothing(store: Store) -> None:
    """A batch whose commit was not heard of is written again without harm, also with news behind it."""
    await store.create_endpoint(an_endpoint(events=("*",)))
    story = Story()
    first = story.tell(started(), final(1, "hello"))
    await store.append(first)
    await store.append(first)
    second = story.tell(final(2, "goodbye"), ended())
    await store.append(first[1:] + second)
    await store.append(first + second)
    assert await store.events("acme", "call-1", after=0, limit=100) == first + second
    assert [said.text for said in await store.segments("acme", "call-1")] == ["hello", "goodbye"]
    assert (await store.call("acme", "call-1")).last_seq == 4
    assert len((await store.deliveries("acme", "we_1", DeliveryFilter(), limit=100)).deliveries) == 5


@pytest.mark.parametrize(
    ("tenant", "seq", "error"),
    [
        pytest.param("acme", 1, ConflictError, id="seq-taken-by-another-event"),
        pytest.param("acme", 4, ConflictError, id="seq-leaves-a-hole"),
        pytest.param("other", 3, NotFoundError, id="another-tenants-call"),
    ],
)
async def test_an_event_that_has_no_place(store: Store, tenant: str, seq: int, error: type[Exception]) -> None:
    """An event out of order or of somebody else's call is refused, and nothing of its batch is kept."""
    story = Story()
    await store.append(story.tell(started(), final(1, "hello")))
    [odd] = Story(tenant=tenant).tell(final(2, "odd"))
    other = Story("call-2").tell(started())
    with pytest.raises(error):
        await store.append([*other, dataclasses.replace(odd, id="evt_odd", seq=seq)])
    assert len(await store.events("acme", "call-1", after=0, limit=9)) == 2
    with pytest.raises(NotFoundError):
        await store.call("acme", "call-2")


async def test_an_event_of_no_call(store: Store) -> None:
    """Without a call.started there is nothing to append to."""
    with pytest.raises(NotFoundError):
        await store.append(Story().tell(final(1, "hello")))


async def test_a_call_id_is_taken_once(store: Store) -> None:
    """A second call.started of a tenant with a known id is a conflict."""
    await store.append(Story().tell(started()))
    [again] = Story(at=START + 99).tell(started())
    with pytest.raises(ConflictError):
        await store.append([dataclasses.replace(again, id="evt_new")])
    with pytest.raises(ConflictError):
        await store.append([*Story("call-2").tell(started()), *Story("call-2", at=START + 1).tell(started())])


async def test_tenants_that_choose_the_same_id(store: Store) -> None:
    """Two calls that know nothing of each other: told in one write, settled, delivered and deleted apart."""
    await store.create_endpoint(an_endpoint(events=("call.completed",)))
    await store.create_endpoint(an_endpoint("we_other", "other", events=("call.completed",)))
    ours, theirs = Story(), Story(tenant="other")
    ours_told = ours.tell(started(whose="ours"), final(1, "our words"), ended())
    await store.append([*ours_told, *theirs.tell(started(whose="theirs"), final(1, "their words"), ended())])
    await store.append(theirs.tell(revised([1], segment(1, "their own words"))))
    await store.settle(theirs.key, START + 9)

    async def known(tenant: str) -> tuple[str, str, bool, int]:
        call = await store.call(tenant, "call-1")
        [said] = await store.segments(tenant, "call-1")
        return call.metadata["whose"], said.text, call.settled, call.last_seq

    assert [await store.knows(key) for key in (ours.key, CallKey("third", "call-1"), acmes("call-2"))] == [
        True,
        False,
        False,
    ]
    assert await known("acme") == ("ours", "our words", False, 3)
    assert await known("other") == ("theirs", "their own words", True, 4)
    [waiting], [due] = [
        (await store.deliveries(*of, DeliveryFilter(), limit=9)).deliveries
        for of in (("acme", "we_1"), ("other", "we_other"))
    ]
    assert (waiting.status, due.status) == (DeliveryStatus.HELD, DeliveryStatus.PENDING)
    assert due.payload["data"]["transcript"]["text"] == "their own words"
    [late] = await claimed(store, waiting.due_at, room={"we_other": 0})
    assert late.payload["data"]["transcript"]["text"] == "our words"
    await store.delete_call("other", "call-1")
    assert await known("acme") == ("ours", "our words", False, 3)
    assert [
        len((await store.deliveries(*of, DeliveryFilter(), limit=9)).deliveries)
        for of in (("acme", "we_1"), ("other", "we_other"))
    ] == [1, 0]
    found = await store.calls("acme", CallFilter(text="words"), cursor=None, limit=9)
    assert [call.metadata["whose"] for call in found.calls] == ["ours"]


async def test_a_call_ends_once(store: Store) -> None:
    """A second call.ended is a conflict."""
    story = Story()
    await store.append(story.tell(started(), ended()))
    with pytest.raises(ConflictError):
        await store.append(story.tell(ended()))


async def test_calls_that_begin_in_the_same_millisecond(store: Store) -> None:
    """However many calls begin at once, each is kept and each is listed once."""
    ids = [f"c{i}" for i in range(3000)]
    await store.append([event for call_id in ids[:1500] for event in Story(call_id).tell(started())])
    await store.append([event for call_id in ids[1500:] for event in Story(call_id).tell(started())])
    page = await store.calls(
        "acme", CallFilter(started_after=START, started_before=START + 0.001), cursor=None, limit=5000
    )
    assert sorted(call.call_id for call in page.calls) == sorted(ids)


async def test_settling_early_twice_and_for_nobody(store: Store) -> None:
    """A call in progress cannot settle; twice is once; a call that was deleted is no fault."""
    story = Story()
    await store.append(story.tell(started()))
    with pytest.raises(ConflictError):
        await store.settle(acmes("call-1"), START)
    await store.append(story.tell(ended()))
    await store.settle(acmes("call-1"), START)
    await store.settle(acmes("call-1"), START)
    await store.settle(acmes("never-was"), START)
    assert (await store.call("acme", "call-1")).settled


async def test_unfinished_calls_are_those_that_are_not_settled(store: Store) -> None:
    """In progress, or ended without settled text, of every tenant; oldest first."""
    for number, (tenant, bodies, settle) in enumerate(
        [("acme", [started()], False), ("other", [started(), ended()], False), ("acme", [started(), ended()], True)]
    ):
        await store.append(Story(f"call-{number}", tenant, at=START + number).tell(*bodies))
        if settle:
            await store.settle(acmes(f"call-{number}"), START)
    assert [(call.call_id, call.tenant) for call in await store.unfinished()] == [
        ("call-0", "acme"),
        ("call-1", "other"),
    ]


async def test_deleting_a_call_leaves_nothing(store: Store) -> None:
    """Record, transcript, events, search words and deliveries go; the id may be used again."""
    await store.create_endpoint(an_endpoint(events=("call.completed", "transcript.final")))
    story = Story()
    await store.append(story.tell(started(), final(1, "my secret number")))
    with pytest.raises(ConflictError):
        await store.delete_call("acme", "call-1")
    await store.append(story.tell(ended()))
    await store.append(Story("call-2").tell(started(), final(1, "another secret"), ended()))
    await store.delete_call("acme", "call-1")

    for read in (
        store.call("acme", "call-1"),
        store.segments("acme", "call-1"),
        store.events("acme", "call-1", after=0, limit=1),
        store.delete_call("acme", "call-1"),
    ):
        with pytest.raises(NotFoundError):
            await read
    found = await store.calls("acme", CallFilter(text="secret"), cursor=None, limit=10)
    assert [call.call_id for call in found.calls] == ["call-2"]
    assert {
        delivery.call_id for delivery in (await store.deliveries("acme", "we_1", DeliveryFilter(), limit=10)).deliveries
    } == {"call-2"}

    indexed = text("SELECT count(*) FROM call_terms")
    assert await store._db.read(lambda connection: connection.execute(indexed).scalar()) == 1  # type: ignore[attr-defined]

    await store.append(Story("call-1").tell(started(), final(1, "nothing of note"), ended()))
    found = await store.calls("acme", CallFilter(text="secret"), cursor=None, limit=10)
    assert [call.call_id for call in found.calls] == ["call-2"]


async def test_old_calls_expire(store: Store) -> None:
    """Those that ended before a moment go, of every tenant, the oldest first and so many at a time; all of theirs with
    them. Calls that ended later or go on stay, and so do their deliveries.
    """
    await store.create_endpoint(an_endpoint(events=("*",)))
    await store.create_endpoint(an_endpoint("we_other", "other", events=("*",)))
    for number, tenant in enumerate(["acme", "other", "acme", "acme"]):
        story = Story(f"c{number}", tenant, at=START + 10 * number)
        await store.append(story.tell(started(), final(1, f"secret {number}"), ended()))
    await store.append(Story("live", at=START).tell(started(), final(1, "secret live")))
    test = Delivery(
        id="msg_test", tenant="acme", endpoint_id="we_1", call_id="", type="test", payload={},
        status=DeliveryStatus.PENDING, created_at=START, due_at=START,
    )  # fmt: skip
    await store.add(test)

    before = START + 32  # c3 ends at that moment
    assert await store.expire(before, limit=2) == [("acme", "c0"), ("other", "c1")]
    assert await store.expire(before, limit=2) == [("acme", "c2")]
    assert await store.expire(before, limit=2) == []
    found = await store.calls("acme", CallFilter(text="secret"), cursor=None, limit=9)
    assert [call.call_id for call in found.calls] == ["c3"]
    assert (await store.call("acme", "live")).status is CallStatus.IN_PROGRESS
    assert {
        delivery.call_id for delivery in (await store.deliveries("acme", "we_1", DeliveryFilter(), limit=99)).deliveries
    } == {"c3", "live"}
    assert (await store.deliveries("other", "we_other", DeliveryFilter(), limit=99)).deliveries == ()
    for table, count in (("call_terms", 1), ("calls", 2), ("segments", 2), ("events", 5)):
        counted = text(f"SELECT count(*) FROM {table}")  # noqa: S608
        assert await store._db.read(lambda connection, q=counted: connection.execute(q).scalar()) == count, table  # type: ignore[attr-defined]


async def test_servers_expire_side_by_side(store: Store) -> None:
    """Each call is deleted by one of those that ask at once, and none is left."""
    for number in range(12):
        await store.append(Story(f"c{number}", at=START + number).tell(started(), ended()))
    gone = await asyncio.gather(*(store.expire(START + 100, limit=5) for _ in range(4)))
    assert sorted(key.call_id for keys in gone for key in keys) == sorted(f"c{n}" for n in range(12))


async def test_a_tenant_sees_its_own_alone(store: Store) -> None:
    """Every read and every change of another tenant's things is NotFoundError or empty."""
    await store.create_endpoint(an_endpoint(events=("*",)))
    await store.append(Story().tell(started(), final(1, "hello"), ended()))
    await store.settle(acmes("call-1"), START + 3)
    [delivery, *_] = (await store.deliveries("acme", "we_1", DeliveryFilter(), limit=9)).deliveries
    for forbidden in (
        store.call("other", "call-1"),
        store.segments("other", "call-1"),
        store.events("other", "call-1", after=0, limit=9),
        store.delete_call("other", "call-1"),
        store.deliveries("other", "we_1", DeliveryFilter(), limit=9),
        store.redeliver("other", delivery.id, START),
        store.endpoint("other", "we_1"),
        store.update_endpoint("other", "we_1", {"enabled": False}),
        store.delete_endpoint("other", "we_1"),
    ):
        with pytest.raises(NotFoundError):
            await forbidden
    for wanted in (CallFilter(), CallFilter(text="hello"), CallFilter(carrier_call_id="CA1")):
        assert (await store.calls("other", wanted, cursor=None, limit=9)).calls == ()
    assert await store.endpoints("other") == []
    assert (await store.endpoint("acme", "we_1")).enabled
    [again, *_] = (await store.deliveries("acme", "we_1", DeliveryFilter(), limit=9)).deliveries
    assert again.status is DeliveryStatus.PENDING


@pytest.mark.parametrize("odd", ["CA\x00", "CA\ud83d"], ids=["nul", "half-a-character"])
async def test_text_that_an_engine_cannot_hold(store: Store, database_url: str, odd: str) -> None:
    """It is the sender's fault, not an outage to wait out; SQLite does take a NUL."""
    happened = Story().tell(started(odd))
    if "\x00" in odd and database_url.startswith("sqlite"):
        await store.append(happened)
        assert (await store.call("acme", "call-1")).carrier_call_id == odd
        return
    with pytest.raises(InvalidRequestError):
        await store.append(happened)
