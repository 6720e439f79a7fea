"""Outbox: deliveries are made with the events they tell of, leased to one worker at a time, and never change."""

from __future__ import annotations

import asyncio

import pytest

from bridge.errors import InvalidRequestError, NotFoundError
from bridge.model.events import rfc3339
from bridge.model.records import Delivery, DeliveryFilter, DeliveryStatus
from bridge.model.stream import Leg
from bridge.ports import SETTLE_LIMIT_S, Store
from tests.contract.builders import a_subscription, a_try, an_endpoint, claimed
from tests.story import START, Story, acmes, ended, final, revised, segment, started


async def a_pending_delivery(store: Store) -> Delivery:
    await store.create_endpoint(an_endpoint(events=("call.started",)))
    await store.append(Story().tell(started()))
    [delivery] = (await store.deliveries("acme", "we_1", DeliveryFilter(), limit=9)).deliveries
    return delivery


async def test_each_endpoint_gets_what_it_asked_for(store: Store) -> None:
    """A delivery for every event type asked for; none for other types, other tenants or disabled endpoints."""
    await store.create_endpoint(an_endpoint("we_all", events=("*",)))
    await store.create_endpoint(an_endpoint("we_some", events=("transcript.final", "call.failed")))
    await store.create_endpoint(an_endpoint("we_off", events=("*",), enabled=False))
    await store.create_endpoint(an_endpoint("we_other", "other", events=("*",)))
    await store.append(Story().tell(started(), final(1, "hello"), ended()))

    async def types(tenant: str, endpoint_id: str) -> set[str]:
        return {
            delivery.type
            for delivery in (await store.deliveries(tenant, endpoint_id, DeliveryFilter(), limit=99)).deliveries
        }

    assert await types("acme", "we_all") == {"call.started", "transcript.final", "call.ended", "call.completed"}
    assert await types("acme", "we_some") == {"transcript.final"}
    assert await types("acme", "we_off") == set()
    assert await types("other", "we_other") == set()
    ids = [
        delivery.id
        for name in ("we_all", "we_some")
        for delivery in (await store.deliveries("acme", name, DeliveryFilter(), limit=99)).deliveries
    ]
    assert len(set(ids)) == len(ids) == 5


async def test_an_ordinary_payload_is_the_event_with_whose_call_it_is(store: Store) -> None:
    """`data` has the event as live subscribers see it, and the call's identity."""
    await store.create_endpoint(an_endpoint(events=("transcript.final",)))
    story = Story()
    await store.append(story.tell(started("CA7", agent="Ann")))
    [told] = story.tell(final(1, "hello"))
    await store.append([told])
    [delivery] = await claimed(store, told.time)
    assert delivery.payload == {
        "type": "transcript.final",
        "timestamp": rfc3339(told.time),
        "data": {
            "carrier": "twilio",
            "carrier_call_id": "CA7",
            "legs": ["caller", "agent"],
            "metadata": {"agent": "Ann"},
            "started_at": rfc3339(START),
            **told.to_dict(),
            "words": [{"word": "hello", "start_ms": 1000, "end_ms": 1100, "confidence": 0.75}],
        },
    }


async def test_the_completed_call_goes_out_with_its_settled_text(store: Store) -> None:
    """Held at the end, released by settling, with the text as it then stands."""
    await store.create_endpoint(an_endpoint())
    story = Story()
    await store.append(
        story.tell(started(), final(1, "fourty two"), final(1, "yes", leg=Leg.AGENT, start_ms=9), ended())
    )
    assert await claimed(store, START + 100) == []
    [held] = (await store.deliveries("acme", "we_1", DeliveryFilter(), limit=9)).deliveries
    assert (held.status, held.due_at) == (DeliveryStatus.HELD, START + 3 + SETTLE_LIMIT_S)

    await store.append(story.tell(revised([1], segment(1, "Forty-two."))))
    await store.settle(acmes("call-1"), START + 20)
    [delivery] = await claimed(store, START + 20)
    assert delivery.id == held.id
    data = delivery.payload["data"]
    assert (delivery.payload["type"], delivery.payload["timestamp"]) == ("call.completed", rfc3339(START + 3))
    assert (data["call_id"], data["status"], data["reason"], data["duration_ms"]) == (
        "call-1",
        "completed",
        "hangup",
        60_000,
    )
    assert (data["started_at"], data["ended_at"]) == (rfc3339(START), rfc3339(START + 3))
    assert data["settled"] is data["transcript"]["settled"] is True
    assert data["transcript"]["text"] == "yes\nForty-two."
    assert [said["text"] for said in data["transcript"]["segments"]] == ["yes", "Forty-two."]
    assert set(data["transcript"]["segments"][0]) == {
        "leg", "segment", "speaker", "start_ms", "end_ms", "text", "language", "confidence", "words"
    }  # fmt: skip


async def test_a_failed_call_says_why(store: Store) -> None:
    """`call.failed` instead of `call.completed`, with a stable code, a sentence, and what was heard before."""
    await store.create_endpoint(an_endpoint(events=("call.completed", "call.failed")))
    await store.append(Story().tell(started(), final(1, "hel"), ended("error", "carrier_protocol")))
    await store.settle(acmes("call-1"), START + 5)
    [delivery] = await claimed(store, START + 5)
    assert delivery.type == "call.failed"
    assert delivery.payload["data"]["error"]["code"] == "carrier_protocol"
    assert delivery.payload["data"]["error"]["message"].startswith("The carrier sent what its protocol forbids")
    assert delivery.payload["data"]["transcript"]["text"] == "hel"


async def test_a_call_that_never_settles_is_told_of_in_time(store: Store) -> None:
    """After the limit it goes out as it stands, says so, and does not change any more."""
    await store.create_endpoint(an_endpoint())
    story = Story()
    await store.append(story.tell(started(), final(1, "hello"), ended()))
    await store.append(story.tell(revised([1], segment(1, "Hello!"))))
    due = START + 2 + SETTLE_LIMIT_S
    assert await store.next_due() == due
    assert await claimed(store, due - 1) == []
    [first] = await claimed(store, due)
    assert first.payload["data"]["transcript"]["text"] == "Hello!"
    assert first.payload["data"]["settled"] is False

    await store.append(story.tell(revised([1], segment(1, "Too late."))))
    await store.settle(acmes("call-1"), due + 1)
    await store.record(first.id, a_try(), next_due=due + 30, delivered=False)
    [second] = await claimed(store, due + 30)
    assert second.id == first.id
    assert second.payload == first.payload


async def test_a_held_delivery_sent_by_hand(store: Store) -> None:
    """Asked for before the text is settled, it goes out at once as it stands."""
    await store.create_endpoint(an_endpoint())
    await store.append(Story().tell(started(), final(1, "hello"), ended()))
    [held] = (await store.deliveries("acme", "we_1", DeliveryFilter(), limit=1)).deliveries
    await store.redeliver("acme", held.id, START + 5)
    [sent] = await claimed(store, START + 5)
    assert sent.payload["data"]["settled"] is False


async def test_a_lease_is_the_holders_alone_until_it_ends(store: Store) -> None:
    """Nobody else is given a leased delivery; when the lease ends unrecorded, somebody is."""
    pending = await a_pending_delivery(store)
    [mine] = await claimed(store, START, lease_s=60)
    assert (mine.id, mine.due_at, mine.tries) == (pending.id, START + 60, 0)
    assert await claimed(store, START + 59) == []
    assert await store.next_due() == START + 60
    assert [delivery.id for delivery in await claimed(store, START + 60)] == [pending.id]


async def test_workers_never_share_a_try(store: Store) -> None:
    """Many claims at once: every delivery is given out exactly once."""
    for number in range(5):
        await store.create_endpoint(an_endpoint(f"we_{number}", events=("call.started",)))
    await store.append([event for i in range(20) for event in Story(f"c{i}").tell(started())])

    async def worker() -> list[str]:
        mine: list[str] = []
        while got := await claimed(store, START + 1, limit=7, each=3):
            mine += [delivery.id for delivery in got]
        return mine

    given = [delivery_id for got in await asyncio.gather(*(worker() for _ in range(6))) for delivery_id in got]
    assert len(given) == 100
    assert len(set(given)) == 100


async def test_one_endpoints_backlog_delays_no_other(store: Store) -> None:
    """However much one endpoint has waiting, each of the others is served in every round."""
    await store.create_endpoint(an_endpoint("we_dead", events=("call.started",)))
    await store.append([event for i in range(50) for event in Story(f"old{i}").tell(started())])
    for name in ("we_a", "we_b"):
        await store.create_endpoint(an_endpoint(name, events=("call.started",)))
    await store.append([event for i in range(2) for event in Story(f"new{i}", at=START + 9).tell(started())])

    first = await claimed(store, START + 9, limit=6, each=4)
    assert sorted(d.endpoint_id for d in first) == ["we_a", "we_a", "we_b", "we_b", "we_dead", "we_dead"]
    assert {d.endpoint_id for d in await claimed(store, START + 9, limit=6, each=4)} == {"we_dead"}


async def test_rounds_begin_behind_who_was_served_last(store: Store) -> None:
    """With fewer hands than endpoints, all have their turn."""
    for number in range(5):
        await store.create_endpoint(an_endpoint(f"we_{number}", events=("call.started",)))
    await store.append([event for i in range(2) for event in Story(f"c{i}").tell(started())])
    served = [d.endpoint_id for _ in range(5) for d in await claimed(store, START, limit=1)]
    assert sorted(served) == [f"we_{number}" for number in range(5)]


async def test_room_of_its_own_for_an_endpoint(store: Store) -> None:
    """`room` overrides `each`: none for one that rests, one for one that is being probed."""
    for name in ("we_a", "we_b", "we_c"):
        await store.create_endpoint(an_endpoint(name, events=("call.started",)))
    await store.append([event for i in range(5) for event in Story(f"c{i}").tell(started())])
    got = await claimed(store, START, each=2, room={"we_a": 0, "we_b": 1})
    assert sorted(d.endpoint_id for d in got) == ["we_b", "we_c", "we_c"]
    assert await claimed(store, START, room={"we_a": 0, "we_b": 0, "we_c": 0}) == []


@pytest.mark.parametrize(
    ("next_due", "delivered", "status"),
    [
        pytest.param(None, True, DeliveryStatus.DELIVERED, id="delivered"),
        pytest.param(START + 30, False, DeliveryStatus.PENDING, id="again-later"),
        pytest.param(None, False, DeliveryStatus.EXHAUSTED, id="given-up"),
    ],
)
async def test_what_a_recorded_try_leaves(
    store: Store, next_due: float | None, delivered: bool, status: DeliveryStatus
) -> None:
    """The try is listed, the status follows, and only what is due again is claimed again; twice counts once."""
    pending = await a_pending_delivery(store)
    await claimed(store, START)
    tried = a_try(status=200 if delivered else None, error=None if delivered else "TimeoutError")
    for _ in range(2):
        await store.record(pending.id, tried, next_due=next_due, delivered=delivered)
    [listed] = (await store.deliveries("acme", "we_1", DeliveryFilter(), limit=9)).deliveries
    assert (listed.status, listed.tries, listed.attempts) == (status, 1, (tried,))
    assert await store.next_due() == next_due
    assert len(await claimed(store, START + 1000)) == (next_due is not None)


async def test_a_record_that_comes_too_late(store: Store) -> None:
    """Whose lease ran out does not undo what the next worker has recorded."""
    pending = await a_pending_delivery(store)
    await claimed(store, START, lease_s=10)
    await claimed(store, START + 10, lease_s=10)
    await store.record(pending.id, a_try(at=START + 11, status=503), next_due=START + 500, delivered=False)
    await store.record(pending.id, a_try(at=START + 1, status=500), next_due=START + 40, delivered=False)
    [listed] = (await store.deliveries("acme", "we_1", DeliveryFilter(), limit=9)).deliveries
    assert (listed.status, listed.due_at) == (DeliveryStatus.PENDING, START + 500)
    await claimed(store, START + 500)
    await store.record(pending.id, a_try(2, at=START + 501, status=200), next_due=None, delivered=True)
    await store.record(pending.id, a_try(at=START + 2, status=500), next_due=None, delivered=False)
    [listed] = (await store.deliveries("acme", "we_1", DeliveryFilter(), limit=9)).deliveries
    assert (listed.status, listed.tries) == (DeliveryStatus.DELIVERED, 2)
    assert [tried.status for tried in listed.attempts] == [500, 500, 503, 200]


async def test_sent_again_by_hand(store: Store) -> None:
    """Same id and payload, tries counted afresh, the old tries still listed."""
    pending = await a_pending_delivery(store)
    await claimed(store, START)
    await store.record(pending.id, a_try(), next_due=None, delivered=False)
    again = await store.redeliver("acme", pending.id, START + 500)
    assert (again.id, again.status, again.tries, again.due_at) == (pending.id, DeliveryStatus.PENDING, 0, START + 500)
    assert again.attempts == (a_try(),)
    [sent] = await claimed(store, START + 500)
    assert sent.payload == pending.payload
    await store.record(sent.id, a_try(at=START + 501, status=200), next_due=None, delivered=True)
    [listed] = (await store.deliveries("acme", "we_1", DeliveryFilter(), limit=9)).deliveries
    assert listed.status is DeliveryStatus.DELIVERED
    assert [(tried.number, tried.status) for tried in listed.attempts] == [(1, 500), (1, 200)]
    with pytest.raises(NotFoundError):
        await store.redeliver("acme", "msg_none", START)


async def test_leases_given_back(store: Store) -> None:
    """What was not tried is due at once; a lease that was recorded, or is another's by now, stays as it is."""
    await store.create_endpoint(an_endpoint(events=("call.started",)))
    await store.append([event for i in range(3) for event in Story(f"c{i}").tell(started())])
    mine = await claimed(store, START, lease_s=60)
    assert len(mine) == 3
    await store.record(mine[0].id, a_try(), next_due=START + 500, delivered=False)
    await store.release(mine, START + 5)
    assert {d.id for d in await claimed(store, START + 5)} == {mine[1].id, mine[2].id}
    await store.release(mine, START + 6)
    assert await claimed(store, START + 6) == []


async def test_what_a_dead_process_had_under_way(store: Store) -> None:
    """Its first tries are due at once, not after their leases; those that were tried keep to their schedule."""
    await store.create_endpoint(an_endpoint(events=("call.started",)))
    await store.append([event for i in range(3) for event in Story(f"c{i}").tell(started())])
    theirs = await claimed(store, START, lease_s=60)
    await store.record(theirs[0].id, a_try(), next_due=START + 500, delivered=False)
    await store.record(theirs[1].id, a_try(), next_due=None, delivered=True)
    await store.inherit(START + 5)
    assert [d.id for d in await claimed(store, START + 5)] == [theirs[2].id]
    assert await store.next_due() == START + 65


async def test_a_disabled_endpoints_deliveries_wait(store: Store) -> None:
    """They are not given out, nor waited for, until the endpoint is enabled again."""
    pending = await a_pending_delivery(store)
    await store.update_endpoint("acme", "we_1", {"enabled": False})
    assert await claimed(store, START + 10) == []
    assert await store.next_due() is None
    await store.update_endpoint("acme", "we_1", {"enabled": True})
    assert [d.id for d in await claimed(store, START + 10)] == [pending.id]


async def test_a_message_made_by_hand(store: Store) -> None:
    """An endpoint's test message belongs to no call and is delivered like any other; added twice it is one."""
    await store.create_endpoint(an_endpoint())
    test = Delivery(
        id="msg_test", tenant="acme", endpoint_id="we_1", call_id="", type="test", payload={"b": 1, "a": [2]},
        status=DeliveryStatus.PENDING, created_at=START, due_at=START,
    )  # fmt: skip
    await store.add(test)
    await store.add(test)
    assert (await store.deliveries("acme", "we_1", DeliveryFilter(), limit=9)).deliveries == (test,)
    [sent] = await claimed(store, START)
    assert list(sent.payload) == ["b", "a"]


async def test_deliveries_are_listed_newest_first(store: Store) -> None:
    """Up to the limit."""
    await store.create_endpoint(an_endpoint(events=("call.started",)))
    for number in range(4):
        await store.append(Story(f"c{number}", at=START + number).tell(started()))
    listed = (await store.deliveries("acme", "we_1", DeliveryFilter(), limit=3)).deliveries
    assert [delivery.call_id for delivery in listed] == ["c3", "c2", "c1"]


async def test_what_is_gone_takes_its_deliveries_along(store: Store) -> None:
    """A deleted endpoint or call is not told of, and a try that was under way is recorded nowhere."""
    pending = await a_pending_delivery(store)
    await claimed(store, START)
    await store.delete_endpoint("acme", "we_1")
    await store.record(pending.id, a_try(), next_due=START + 30, delivered=False)
    assert await store.next_due() is None
    with pytest.raises(NotFoundError):
        await store.deliveries("acme", "we_1", DeliveryFilter(), limit=1)


async def test_news_of_deliveries(store: Store) -> None:
    """Who waits is woken by whatever makes something due, and by nothing else."""
    await store.create_endpoint(an_endpoint(events=("call.started", "call.completed")))
    story = Story()
    news = store.changed()
    await store.append(story.tell(started()))
    assert news.is_set()
    news = store.changed()
    await store.append(story.tell(final(1, "hello")))
    assert not news.is_set()
    await store.append(story.tell(ended()))
    assert news.is_set()
    news = store.changed()
    await store.settle(acmes("call-1"), START + 3)
    assert news.is_set()
    news = store.changed()
    assert store.wanted() == set()
    [delivery, _] = (await store.deliveries("acme", "we_1", DeliveryFilter(), limit=9)).deliveries
    await store.redeliver("acme", delivery.id, START)
    assert news.is_set()
    assert store.wanted() == {"we_1"}
    assert store.wanted() == set()


async def test_an_endpoints_deliveries_a_page_at_a_time(store: Store) -> None:
    """Newest first and each once, however many are of one moment; a page may be of one status, or of one call."""
    await store.create_endpoint(an_endpoint(events=("call.started",)))
    for number in range(7):
        await store.append(Story(f"c{number}", at=START + number // 3).tell(started()))
    for delivery in (await claimed(store, START))[:2]:
        await store.record(delivery.id, a_try(), next_due=None, delivered=False)

    async def pages(wanted: DeliveryFilter) -> list[list[Delivery]]:
        found, cursor = [], None
        while True:
            page = await store.deliveries("acme", "we_1", wanted, cursor=cursor, limit=2)
            found.append(list(page.deliveries))
            if (cursor := page.cursor) is None:
                return found

    everything = await pages(DeliveryFilter())
    assert [len(page) for page in everything] == [2, 2, 2, 1]
    listed = [delivery for page in everything for delivery in page]
    assert listed == sorted(listed, key=lambda delivery: (delivery.created_at, delivery.id), reverse=True)
    assert {delivery.call_id for delivery in listed} == {f"c{number}" for number in range(7)}
    given_up = await pages(DeliveryFilter(status=DeliveryStatus.EXHAUSTED))
    assert given_up == [[delivery for delivery in listed if delivery.attempts]]
    assert [[delivery.call_id for delivery in page] for page in await pages(DeliveryFilter(call_id="c5"))] == [["c5"]]
    assert await pages(DeliveryFilter(status=DeliveryStatus.EXHAUSTED, call_id="c5")) == [[]]


@pytest.mark.parametrize("cursor", ["x", "WzFd", "WzEsMV0", "WzEuNSwiYSIsMV0"])
async def test_a_cursor_of_another_list(store: Store, cursor: str) -> None:
    """It is refused by name, not taken for a place."""
    await store.create_endpoint(an_endpoint())
    with pytest.raises(InvalidRequestError, match="cursor"):
        await store.deliveries("acme", "we_1", DeliveryFilter(), cursor=cursor, limit=2)


async def test_a_call_with_a_callback_of_its_own(store: Store) -> None:
    """It is told of what was asked about that call alone, at the call's own address; the endpoint hears of no other."""
    await store.create_endpoint(an_endpoint(events=()))
    mine = a_subscription(events=("call.started", "call.completed"))
    await store.subscribe(a_subscription(url="https://hooks.example.org/old"))
    await store.subscribe(mine)
    for call_id, tenant in (("call-1", "acme"), ("call-2", "acme"), ("call-1", "other")):
        await store.append(Story(call_id, tenant).tell(started(), final(1, "hello"), ended()))
    await store.settle(acmes("call-1"), START + 9)
    told = (await store.deliveries("acme", "we_1", DeliveryFilter(), limit=9)).deliveries
    assert {(one.call_id, one.type, one.url) for one in told} == {
        ("call-1", kind, mine.url) for kind in ("call.started", "call.completed")
    }
    claims = await claimed(store, START + 9)
    assert {one.url for one in claims} == {mine.url}


async def test_an_endpoint_that_hears_of_all_calls_and_of_one(store: Store) -> None:
    """One message, to the call's own address."""
    await store.create_endpoint(an_endpoint(events=("call.started",)))
    await store.subscribe(a_subscription(events=("call.started",)))
    await store.append(Story().tell(started()))
    [told] = (await store.deliveries("acme", "we_1", DeliveryFilter(), limit=9)).deliveries
    assert told.url == a_subscription().url


async def test_subscriptions_that_end(store: Store) -> None:
    """Taken back, of a deleted endpoint, of a disabled one, of a deleted call: nothing is told any more."""
    for number in range(4):
        await store.create_endpoint(an_endpoint(f"we_{number}", events=()))
        await store.subscribe(a_subscription(endpoint_id=f"we_{number}"))
    await store.unsubscribe(a_subscription(endpoint_id="we_0"))
    await store.unsubscribe(a_subscription(endpoint_id="we_3", url="https://hooks.example.org/another"))
    await store.delete_endpoint("acme", "we_1")
    await store.update_endpoint("acme", "we_2", {"enabled": False})
    with pytest.raises(NotFoundError):
        await store.subscribe(a_subscription("other", endpoint_id="we_2"))
    for told in (1, 0):  # the second call of this name is another one
        await store.append(Story().tell(started(), ended()))
        pages = [await store.deliveries("acme", f"we_{number}", DeliveryFilter(), limit=9) for number in (0, 2, 3)]
        assert [len(page.deliveries) for page in pages] == [0, 0, told]
        await store.delete_call("acme", "call-1")
