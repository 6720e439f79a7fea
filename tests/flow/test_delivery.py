"""From what a call says to what a receiver has verified: store, journal, worker and real sockets on a virtual clock."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import pytest
from aiohttp import web

from bridge import __version__
from bridge.compat.table import STYLES
from bridge.deliver.guard import Guard, GuardedSession
from bridge.deliver.hub import Hub
from bridge.deliver.journal import Journal
from bridge.deliver.retry import SCHEDULE_S
from bridge.deliver.webhooks import LEASE_S, Webhooks
from bridge.errors import StoreError
from bridge.model.records import Delivery, DeliveryFilter, DeliveryStatus, Endpoint
from bridge.ports import SETTLE_LIMIT_S, Store
from bridge.store.cipher import Cipher
from bridge.store.sql import open_store
from tests.clock import VirtualClock
from tests.receiver import SECRET, Receiver, receiving, until, verify_at
from tests.story import Story, acmes, ended, final, revised, segment, started


class Office:
    """A bridge without carriers: what is published here is delivered for real."""

    def __init__(self, store: Store, clock: VirtualClock, *, allowed: str = "127.0.0.0/8") -> None:
        self.store = store
        self.clock = clock
        self.session = GuardedSession(Guard(allowed))
        self.webhooks = Webhooks(store, self.session, clock)
        self.hub = Hub(store)
        self.journal = Journal(store, self.hub, clock)

    async def __aenter__(self) -> Self:
        self.journal.start()
        self.webhooks.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.journal.close()
        await self.webhooks.close()
        await self.session.close()

    async def subscribe(self, url: str, *events: str, endpoint_id: str = "we_1", **more: Any) -> Endpoint:
        endpoint = Endpoint(
            id=endpoint_id, tenant="acme", url=url, events=events or ("call.completed", "call.failed"),
            secrets=(SECRET,), enabled=True, created_at=self.clock.now(), **more,
        )  # fmt: skip
        await self.store.create_endpoint(endpoint)
        return endpoint

    async def place_call(self, call_id: str = "call-1", *, settle: bool = True) -> None:
        self.journal.open(acmes(call_id))
        for body in (started(), final(1, "fourty two"), ended(), revised([1], segment(1, "Forty-two."))):
            await self.journal.publish(acmes(call_id), body)
        if settle:
            await self.journal.settled(acmes(call_id))

    async def deliveries(self, endpoint_id: str = "we_1") -> list[Delivery]:
        return list((await self.store.deliveries("acme", endpoint_id, DeliveryFilter(), limit=1000)).deliveries)

    async def recorded(self, tries: int, endpoint_id: str = "we_1") -> Delivery:
        """The only delivery, once so many of its tries are on record."""
        async with asyncio.timeout(30):
            while True:
                [delivery] = await self.deliveries(endpoint_id)
                if len(delivery.attempts) >= tries:
                    return delivery
                await asyncio.sleep(0.002)


@pytest.fixture
async def office(sqlite_store: Store, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    verify_at(clock, monkeypatch)
    async with Office(sqlite_store, clock) as office:
        yield office


@pytest.fixture
async def receiver(clock: VirtualClock) -> AsyncIterator[Receiver]:
    async with receiving(clock) as receiver:
        yield receiver


def failing(status: int = 500, **headers: str) -> Any:
    return lambda _received: web.Response(status=status, headers=headers)


async def test_a_call_ends_and_the_receiver_verifies_it(office: Office, receiver: Receiver) -> None:
    """The whole settled transcript, once, signed so that an independent verifier accepts it."""
    await office.subscribe(receiver.url)
    await office.place_call()
    delivery = await office.recorded(1)
    [received] = receiver.seen
    assert delivery.status is DeliveryStatus.DELIVERED
    assert received.id == delivery.id
    assert received.message["type"] == "call.completed"
    assert received.message["data"]["transcript"]["text"] == "Forty-two."
    assert received.message["data"]["settled"] is True
    assert received.headers["content-type"] == "application/json"
    assert received.headers["user-agent"] == f"callbridge/{__version__}"
    [attempt] = delivery.attempts
    assert (attempt.number, attempt.status, attempt.error) == (1, 204, None)


async def test_the_delivery_is_durable_before_the_end_is_shown(office: Office, receiver: Receiver) -> None:
    """Whoever sees `call.ended` can rely on the webhook, whatever happens next."""
    await office.subscribe(receiver.url)
    office.journal.open(acmes("call-1"))
    await office.journal.publish(acmes("call-1"), started())
    feed = office.hub.call("acme", "call-1")
    assert (await anext(feed)).type == "call.started"
    ending = asyncio.create_task(office.journal.publish(acmes("call-1"), ended()))
    assert (await anext(feed)).type == "call.ended"
    [delivery] = await office.deliveries()
    assert (delivery.type, delivery.status) == ("call.completed", DeliveryStatus.HELD)
    await ending
    await office.journal.settled(acmes("call-1"))
    assert [event async for event in feed] == []


async def test_a_text_that_never_settles(office: Office, receiver: Receiver, clock: VirtualClock) -> None:
    """Two minutes after the end the call goes out as it stands, and says so."""
    await office.subscribe(receiver.url)
    await office.place_call(settle=False)
    await clock.advance(SETTLE_LIMIT_S - 1)
    await asyncio.sleep(0.05)
    assert receiver.seen == []
    await clock.advance(2)
    await receiver.got(1)
    assert receiver.seen[0].message["data"]["settled"] is False


async def test_the_schedule_to_the_end_and_by_hand(office: Office, receiver: Receiver, clock: VirtualClock) -> None:
    """Eight tries at the contract's times, same id and same bytes; then exhausted, and sent again by hand."""
    receiver.answer = failing()
    await office.subscribe(receiver.url)
    await office.place_call()
    for number in range(1, len(SCHEDULE_S) + 1):
        delivery = await office.recorded(number)
        assert len(receiver.seen) == number
        if delivery.status is DeliveryStatus.PENDING:
            await clock.advance(delivery.due_at - clock.now() - 0.5)
            await asyncio.sleep(0.02)
            assert len(receiver.seen) == number
            await clock.advance(1)
            await receiver.got(number + 1)
    assert delivery.status is DeliveryStatus.EXHAUSTED
    waits = [after.at - before.at for before, after in zip(receiver.seen, receiver.seen[1:], strict=False)]
    for wait_s, planned_s in zip(waits, SCHEDULE_S[1:], strict=True):
        assert planned_s <= wait_s <= planned_s * 1.1 + 1
    assert len({(received.id, received.body) for received in receiver.seen}) == 1
    assert len({received.headers["webhook-signature"] for received in receiver.seen}) == len(SCHEDULE_S)

    receiver.answer = failing(204)
    await office.store.redeliver("acme", delivery.id, clock.now())
    delivery = await office.recorded(9)
    assert delivery.status is DeliveryStatus.DELIVERED
    assert receiver.seen[-1].id == delivery.id


async def test_another_services_way(sqlite_store: Store, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five tries, ten seconds for each; the same bytes under the same id, signed as that service signs and as we do."""
    verify_at(clock, monkeypatch)
    office = Office(sqlite_store, clock)
    office.webhooks = Webhooks(sqlite_store, office.session, clock, STYLES)
    async with receiving(clock, answer=failing()) as receiver, office:
        await office.subscribe(receiver.url, style="vocafuse", options={"events": "voicenote.transcribed"})
        await office.place_call()
        for number in range(1, 5):
            delivery = await office.recorded(number)
            await clock.advance(delivery.due_at - clock.now())
            await receiver.got(number + 1)
        assert (await office.recorded(5)).status is DeliveryStatus.EXHAUSTED
        waits = [after.at - before.at for before, after in zip(receiver.seen, receiver.seen[1:], strict=False)]
        for wait_s, planned_s in zip(waits, (30, 300, 1800, 7200), strict=True):
            assert planned_s <= wait_s <= planned_s * 1.1 + 1
        assert len({(received.body, received.headers["x-vocafuse-delivery-id"]) for received in receiver.seen}) == 1
        assert len({received.headers["x-vocafuse-signature"] for received in receiver.seen}) == 1
        assert receiver.seen[0].message["voicenote"]["transcription"]["text"] == "Forty-two."
        receiver.hanging = True
        await office.store.redeliver("acme", delivery.id, clock.now())
        await receiver.got(6)
        await clock.advance(10)
        assert "no answer within 10 s" in {attempt.error for attempt in (await office.recorded(6)).attempts}


async def test_a_receiver_that_hangs(office: Office, receiver: Receiver, clock: VirtualClock) -> None:
    """Fifteen seconds are enough; then it is tried again later."""
    receiver.hanging = True
    await office.subscribe(receiver.url)
    await office.place_call()
    await receiver.got(1)
    await clock.advance(14)
    [delivery] = await office.deliveries()
    assert delivery.attempts == ()
    await clock.advance(1.5)
    delivery = await office.recorded(1)
    assert delivery.attempts[0].error == "no answer within 15 s"
    assert 15_000 <= delivery.attempts[0].duration_ms <= 16_000
    assert delivery.status is DeliveryStatus.PENDING


async def test_a_clock_that_is_set_on_doubles_no_try(office: Office, receiver: Receiver, clock: VirtualClock) -> None:
    """By the new time the lease is over, and yet the try goes on: it is the one try."""
    receiver.hanging = True
    await office.subscribe(receiver.url)
    await office.place_call()
    await receiver.got(1)
    clock.set_by(24 * 3600)
    await clock.advance(12)
    await office.store.ping()  # behind a claim that was made meanwhile
    await clock.settle()
    await asyncio.sleep(0.05)
    assert len(receiver.seen) == 1
    receiver.release()
    assert (await office.recorded(1)).status is DeliveryStatus.DELIVERED


@pytest.mark.parametrize(
    ("answer", "status", "enabled"),
    [
        pytest.param(failing(410), DeliveryStatus.EXHAUSTED, False, id="410-disables-the-endpoint"),
        pytest.param(failing(302, location="http://127.0.0.1:1/"), DeliveryStatus.PENDING, True, id="redirect-fails"),
        pytest.param(failing(400), DeliveryStatus.PENDING, True, id="400-is-tried-again"),
    ],
)
async def test_answers(office: Office, receiver: Receiver, answer: Any, status: DeliveryStatus, enabled: bool) -> None:
    """What an answer does to the delivery and to its endpoint."""
    receiver.answer = answer
    await office.subscribe(receiver.url)
    await office.place_call()
    assert (await office.recorded(1)).status is status
    endpoint = await office.store.endpoint("acme", "we_1")
    assert endpoint.enabled is enabled
    assert (endpoint.disabled_reason is None) is enabled


async def test_retry_after(office: Office, receiver: Receiver, clock: VirtualClock) -> None:
    """A receiver that asks for ten minutes gets them."""
    receiver.answer = failing(429, **{"retry-after": "600"})
    await office.subscribe(receiver.url)
    await office.place_call()
    delivery = await office.recorded(1)
    assert delivery.due_at == pytest.approx(clock.now() + 600, abs=1)


async def test_no_receiver(office: Office) -> None:
    """A refused connection is a failed try with a reason."""
    async with receiving(office.clock) as receiver:
        url = receiver.url
    await office.subscribe(url)
    await office.place_call()
    delivery = await office.recorded(1)
    assert delivery.attempts[0].status is None
    assert "Cannot connect" in (delivery.attempts[0].error or "")


async def test_an_address_inside(sqlite_store: Store, clock: VirtualClock, receiver: Receiver) -> None:
    """An endpoint that leads to a private address is not called; the tries say why."""
    async with Office(sqlite_store, clock, allowed="off") as office:
        await office.subscribe(receiver.url)
        await office.place_call()
        delivery = await office.recorded(1)
        assert "not a public address" in (delivery.attempts[0].error or "")
    assert receiver.seen == []


async def test_both_secrets_verify_while_one_is_rotated_out(office: Office, clock: VirtualClock) -> None:
    """Receivers that have the new secret and those that still have the old one accept the same message."""
    new = "whsec_bmV3IG5ldyBuZXcgbmV3IG5ldyBuZXcgbmV3IQ=="
    async with receiving(clock, secrets=(new, SECRET)) as receiver:
        await office.subscribe(receiver.url)
        changes = {"secrets": (new, SECRET), "secret_rotates_at": clock.now() + 3600}
        await office.store.update_endpoint("acme", "we_1", changes)
        await office.place_call()
        await office.recorded(1)
        assert len(receiver.seen) == 1


async def test_every_event_type_can_be_had(office: Office, receiver: Receiver) -> None:
    """`*` is all of them, each once, each with its own id."""
    await office.subscribe(receiver.url, "*")
    await office.place_call()
    await receiver.got(5)
    assert sorted(received.message["type"] for received in receiver.seen) == [
        "call.completed", "call.ended", "call.started", "transcript.final", "transcript.revised",
    ]  # fmt: skip
    assert len({received.id for received in receiver.seen}) == 5


async def test_text_in_any_language_arrives_as_it_was_said(office: Office, receiver: Receiver) -> None:
    """UTF-8 on the wire, the same characters at the other end."""
    await office.subscribe(receiver.url, "transcript.final")
    office.journal.open(acmes("call-1"))
    await office.journal.publish(acmes("call-1"), started())
    await office.journal.publish(acmes("call-1"), final(1, "naïve 退款 ☎ \U0001f600"))
    await receiver.got(1)
    assert receiver.seen[0].message["data"]["text"] == "naïve 退款 ☎ \U0001f600"
    assert "退款".encode() in receiver.seen[0].body
    await office.journal.publish(acmes("call-1"), ended())


async def test_deliveries_survive_a_restart(
    tmp_path: Path, clock: VirtualClock, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The schedule goes on where it stood, with the same id and bytes."""
    verify_at(clock, monkeypatch)
    url, cipher = f"sqlite:///{tmp_path}/c.db", Cipher(["k"])
    receiver.answer = failing()
    store = await open_store(url, cipher, clock)
    async with Office(store, clock) as office:
        await office.subscribe(receiver.url)
        await office.place_call()
        await office.recorded(1)
    await store.close()

    receiver.answer = failing(200)
    await clock.advance(3600)
    store = await open_store(url, cipher, clock)
    async with Office(store, clock) as office:
        delivery = await office.recorded(2)
        assert delivery.status is DeliveryStatus.DELIVERED
    await store.close()
    first, second = receiver.seen
    assert (first.id, first.body) == (second.id, second.body)


async def test_a_crash_in_the_middle_of_a_try(
    sqlite_store: Store, clock: VirtualClock, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that dies holding a lease delays the delivery until the lease ends, and loses nothing."""
    verify_at(clock, monkeypatch)
    receiver.hanging = True
    async with AsyncExitStack() as stack:
        dying = await stack.enter_async_context(Office(sqlite_store, clock))
        await dying.subscribe(receiver.url)
        await dying.place_call()
        await receiver.got(1)
        for task in (dying.webhooks._worker, *dying.webhooks._tries):
            assert task is not None
            task.cancel()
        await until(lambda: not dying.webhooks._tries)

        receiver.hanging = False
        other = await stack.enter_async_context(Office(sqlite_store, clock))
        await clock.advance(LEASE_S / 2)
        await asyncio.sleep(0.05)
        assert len(receiver.seen) == 1
        await clock.advance(LEASE_S / 2 + 1)
        assert (await other.recorded(1)).status is DeliveryStatus.DELIVERED
    assert len({received.id for received in receiver.seen}) == 1


async def test_a_clean_stop_finishes_what_is_under_way(
    sqlite_store: Store, clock: VirtualClock, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A try that ends within the grace is recorded; nothing new is begun."""
    verify_at(clock, monkeypatch)
    receiver.hanging = True
    office = Office(sqlite_store, clock)
    async with office:
        await office.subscribe(receiver.url)
        await office.place_call()
        await receiver.got(1)
        closing = asyncio.create_task(office.webhooks.close())
        await clock.advance(3)
        assert not closing.done()
        receiver.release()
        await closing
        [delivery] = await office.deliveries()
        assert delivery.status is DeliveryStatus.DELIVERED


async def test_a_clean_stop_gives_back_what_hangs(
    sqlite_store: Store, clock: VirtualClock, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the grace the lease is given back: the next worker need not wait for it to end."""
    verify_at(clock, monkeypatch)
    receiver.hanging = True
    async with Office(sqlite_store, clock) as office:
        await office.subscribe(receiver.url)
        await office.place_call()
        await receiver.got(1)
        closing = asyncio.create_task(office.webhooks.close(grace_s=5))
        await clock.advance(6)
        await closing
        [delivery] = await office.deliveries()
        assert (delivery.status, delivery.tries) == (DeliveryStatus.PENDING, 0)
        assert delivery.due_at <= clock.now()


async def test_two_workers_send_each_try_once(
    sqlite_store: Store, clock: VirtualClock, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However they race, one outbox is one queue."""
    verify_at(clock, monkeypatch)
    async with Office(sqlite_store, clock) as office, Office(sqlite_store, clock) as other:
        await office.subscribe(receiver.url, "call.started")
        for number in range(60):
            happened = Story(f"c{number}", at=clock.now()).tell(started())
            await (office if number % 2 else other).store.append(happened)
        await receiver.got(60)
        await asyncio.sleep(0.05)
    assert len(receiver.seen) == len({received.id for received in receiver.seen}) == 60
    assert all(len(delivery.attempts) == 1 for delivery in await office.deliveries())


async def test_endpoints_that_hang_hold_up_nobody(office: Office, receiver: Receiver, clock: VirtualClock) -> None:
    """A receiver in good health is told at once, whatever the backlog of one that hangs."""
    async with receiving(clock, hanging=True) as hanging:
        await office.subscribe(hanging.url, "call.started", endpoint_id="we_hangs")
        backlog = [event for i in range(500) for event in Story(f"old{i}", at=clock.now()).tell(started())]
        await office.store.append(backlog)
        await hanging.got(4)
        await office.subscribe(receiver.url, "call.started")
        await office.store.append(Story("new", at=clock.now()).tell(started()))
        await receiver.got(1)
        assert len(hanging.seen) == 4
        await clock.advance(16)
        await hanging.got(8)
        await clock.advance(16)
        await until(lambda: not office.webhooks._tries)
        assert len(hanging.seen) == 8
        await clock.advance(10)
        await asyncio.sleep(0.05)
        assert len(hanging.seen) == 8
        await clock.advance(20)
        await hanging.got(9)
        await asyncio.sleep(0.05)
        assert len(hanging.seen) == 9


class Forgetful:
    """A store whose `record` fails for a while: the receiver has the message, the database does not know."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.away = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def record(self, *given: Any, **named: Any) -> None:
        if self.away:
            raise StoreError("away")
        await self._store.record(*given, **named)


async def test_an_outage_between_post_and_record(
    sqlite_store: Store, clock: VirtualClock, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outcome is held on to until the database takes it: the message is not sent twice."""
    verify_at(clock, monkeypatch)
    store = Forgetful(sqlite_store)
    async with Office(store, clock) as office:  # type: ignore[arg-type]
        await office.subscribe(receiver.url)
        await office.place_call()
        await receiver.got(1)
        await clock.advance(LEASE_S / 2)
        store.away = False
        await asyncio.sleep(0.05)
        await clock.advance(2)
        assert (await office.recorded(1)).status is DeliveryStatus.DELIVERED
    assert len(receiver.seen) == 1


async def test_an_outbox_that_cannot_be_read(
    sqlite_store: Store, clock: VirtualClock, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker tries again, and delivers once the database is back."""
    verify_at(clock, monkeypatch)
    failures = 3

    async def claim(*given: Any, **named: Any) -> Any:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise StoreError("away")
        return await type(sqlite_store).claim(sqlite_store, *given, **named)

    monkeypatch.setattr(sqlite_store, "claim", claim)
    async with Office(sqlite_store, clock) as office:
        await office.subscribe(receiver.url)
        await office.place_call()
        for _ in range(5):
            await clock.advance(1)
        assert (await office.recorded(1)).status is DeliveryStatus.DELIVERED


async def test_what_a_payload_holds_is_what_is_sent(office: Office, receiver: Receiver) -> None:
    """The bytes are the stored payload, in its order, without spaces."""
    await office.subscribe(receiver.url)
    await office.place_call()
    delivery = await office.recorded(1)
    sent = json.dumps(dict(delivery.payload), ensure_ascii=False, separators=(",", ":")).encode()
    assert receiver.seen[0].body == sent
    assert dataclasses.asdict(delivery)["payload"] == receiver.seen[0].message
