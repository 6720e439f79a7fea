"""The journal: nothing that was said is lost, shown too early, or numbered twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bridge.deliver import journal as journal_module
from bridge.deliver.journal import GATHERED_S, Journal
from bridge.errors import ConflictError, NotFoundError, StoreError
from bridge.model.stream import Leg
from tests.clock import VirtualClock
from tests.story import acmes, ended, final, partial, started
from tests.unit.deliver.conftest import Board, MemoryCalls


@pytest.fixture
async def journal(calls: MemoryCalls, board: Board, clock: VirtualClock) -> AsyncIterator[Journal]:
    journal = Journal(calls, board, clock)  # type: ignore[arg-type]  # the double has what the journal uses
    journal.start()
    yield journal
    calls.away = False
    if calls.gate is not None:
        calls.gate.set()
    await journal.close()


async def test_published_is_durable_and_shown(
    journal: Journal, calls: MemoryCalls, board: Board, clock: VirtualClock
) -> None:
    """When `publish` returns the event is kept and shown, numbered from 1, stamped with the time of its saying."""
    journal.open(acmes("c"))
    for body in (started(), final(1, "hello")):
        await journal.publish(acmes("c"), body)
        assert calls.kept["c"][-1].body == body
        assert board.shown == calls.kept["c"]
        await clock.advance(5)
    first, second = calls.kept["c"]
    assert (first.seq, second.seq) == (1, 2)
    assert second.time - first.time == 5
    assert (first.tenant, first.call_id) == ("acme", "c")
    assert first.id.startswith("evt_")
    assert first.id != second.id


async def test_a_call_goes_on_after_a_restart(journal: Journal, calls: MemoryCalls) -> None:
    """Numbers continue behind what was kept before."""
    journal.open(acmes("c"))
    await journal.publish(acmes("c"), started())
    again = Journal(calls, Board(calls), VirtualClock())  # type: ignore[arg-type]
    again.start()
    again.open(acmes("c"), last_seq=1)
    await again.publish(acmes("c"), ended())
    await again.close()
    assert [event.seq for event in calls.kept["c"]] == [1, 2]


async def test_many_calls_share_a_transaction(journal: Journal, calls: MemoryCalls) -> None:
    """What is published while one write runs goes into the next one together."""
    calls.gate = asyncio.Event()
    publishing = []
    for number in range(50):
        journal.open(acmes(f"c{number}"))
        publishing.append(asyncio.create_task(journal.publish(acmes(f"c{number}"), started())))
        await asyncio.sleep(0)
    calls.gate.set()
    await asyncio.gather(*publishing)
    assert len(calls.batches) <= 2
    assert len(calls.kept) == 50


async def test_partials_gather_and_nobody_waits_for_them(
    journal: Journal, calls: MemoryCalls, clock: VirtualClock
) -> None:
    """Partials alone wait a moment for each other; a final goes at once and takes them along."""
    for call_id in ("c", "d"):
        journal.open(acmes(call_id))
        await journal.publish(acmes(call_id), started())
    written = len(calls.batches)
    for call_id in ("c", "d"):
        await journal.publish(acmes(call_id), partial(1, "so far"))
        await clock.advance(GATHERED_S / 3)
    assert len(calls.batches) == written
    await clock.advance(GATHERED_S)
    assert [len(batch) for batch in calls.batches[written:]] == [2]
    await journal.publish(acmes("c"), partial(1, "further"))
    await journal.publish(acmes("d"), final(1, "done"))
    assert [event.type for event in calls.batches[-1]] == ["transcript.partial", "transcript.final"]


async def test_a_partial_is_overtaken_only_while_it_waits(
    journal: Journal, calls: MemoryCalls, clock: VirtualClock
) -> None:
    """A newer partial of the same leg and segment takes the place of a waiting one; numbers show no hole."""
    journal.open(acmes("c"))
    await journal.publish(acmes("c"), started())
    calls.gate = asyncio.Event()
    waiting = asyncio.create_task(journal.publish(acmes("c"), final(1, "one")))
    await clock.settle()
    for text in ("tw", "two", "two and"):
        await journal.publish(acmes("c"), partial(2, text))
    await journal.publish(acmes("c"), partial(1, "other leg", leg=Leg.AGENT))
    await journal.publish(acmes("c"), partial(3, "other segment"))
    calls.gate.set()
    await waiting
    await clock.advance(GATHERED_S)
    await journal.publish(acmes("c"), partial(2, "two and a half"))
    await journal.publish(acmes("c"), final(2, "two and a half"))
    assert [getattr(event.body, "text", None) for event in calls.kept["c"]] == [
        None, "one", "two and", "other leg", "other segment", "two and a half", "two and a half",
    ]  # fmt: skip
    assert [event.seq for event in calls.kept["c"]] == list(range(1, 8))


async def test_an_outage_loses_nothing_but_partials(
    journal: Journal, calls: MemoryCalls, board: Board, clock: VirtualClock
) -> None:
    """While the store is away calls wait, partials are dropped, and all goes on where it stood."""
    journal.open(acmes("c"))
    await journal.publish(acmes("c"), started())
    calls.away = True
    publishing = [asyncio.create_task(journal.publish(acmes("c"), final(number, "word"))) for number in (1, 2)]
    await clock.advance(60)
    assert journal.stalled
    assert not any(task.done() for task in publishing)
    assert board.shown == calls.kept["c"]
    for _ in range(100):
        await journal.publish(acmes("c"), partial(3, "shed"))
    calls.away = False
    await clock.advance(10)
    await asyncio.gather(*publishing)
    assert not journal.stalled
    assert calls.types("c") == ["call.started", "transcript.final", "transcript.final"]
    assert board.shown == calls.kept["c"]


async def test_a_commit_that_was_not_heard_of(
    journal: Journal, calls: MemoryCalls, board: Board, clock: VirtualClock
) -> None:
    """The same events are written again under the same ids, so that the store can tell."""
    journal.open(acmes("c"))
    calls.deaf = 2
    publishing = asyncio.create_task(journal.publish(acmes("c"), started()))
    await clock.advance(5)
    await publishing
    assert calls.batches[0] == calls.batches[1] == calls.batches[2]
    assert calls.types("c") == ["call.started"]
    assert board.shown == calls.kept["c"]


async def test_a_publisher_that_goes_away_has_been_heard(journal: Journal, calls: MemoryCalls) -> None:
    """Cancelled while it waits for the disk (a dropped socket), what it said is kept all the same."""
    journal.open(acmes("c"))
    await journal.publish(acmes("c"), started())
    calls.gate = asyncio.Event()
    gone = asyncio.create_task(journal.publish(acmes("c"), final(1, "last words")))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    calls.gate.set()
    await journal.publish(acmes("c"), ended())
    assert calls.types("c") == ["call.started", "transcript.final", "call.ended"]


async def test_a_taken_id_fails_alone(journal: Journal, calls: MemoryCalls) -> None:
    """A call whose id exists in the store is refused; calls written with it are not."""
    journal.open(acmes("c"))
    await journal.publish(acmes("c"), started())
    await journal.publish(acmes("c"), ended())
    await journal.settled(acmes("c"))
    for call_id in ("c", "d"):
        journal.open(acmes(call_id))
    results = await asyncio.gather(
        *(journal.publish(acmes(call_id), started()) for call_id in ("c", "d")), return_exceptions=True
    )
    assert isinstance(results[0], ConflictError)
    assert results[1] is None
    with pytest.raises(NotFoundError):
        await journal.publish(acmes("c"), final(1, "hello"))
    assert calls.types("c") == ["call.started", "call.ended"]


async def test_an_event_the_store_cannot_take_fails_alone(
    journal: Journal, calls: MemoryCalls, clock: VirtualClock
) -> None:
    """Its publisher hears so; the call goes on without a hole, and so do the others of the batch."""
    for call_id in ("c", "d"):
        journal.open(acmes(call_id))
        await journal.publish(acmes(call_id), started())
    calls.gate = asyncio.Event()
    publishing = [
        asyncio.create_task(journal.publish(acmes(call_id), final(number, text)))
        for call_id, number, text in [("c", 1, "a"), ("c", 2, "poison"), ("d", 1, "b"), ("c", 3, "c")]
    ]
    await clock.settle()
    calls.gate.set()
    results = await asyncio.gather(*publishing, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), ValueError, type(None), type(None)]
    await journal.publish(acmes("c"), ended())
    assert [event.seq for event in calls.kept["c"]] == [1, 2, 3, 4]
    assert calls.types("d") == ["call.started", "transcript.final"]


async def test_a_call_is_open_once(journal: Journal) -> None:
    """Opening it again, or speaking for one that is not open, is refused."""
    journal.open(acmes("c"))
    with pytest.raises(ConflictError):
        journal.open(acmes("c"))
    with pytest.raises(NotFoundError):
        await journal.publish(acmes("never"), started())


async def test_settling_comes_after_all_that_was_said(
    journal: Journal, calls: MemoryCalls, board: Board, clock: VirtualClock
) -> None:
    """The store settles once everything before is kept, also through an outage; then the call is closed."""
    journal.open(acmes("c"))
    await journal.publish(acmes("c"), started())
    calls.away = True
    ending = asyncio.create_task(journal.publish(acmes("c"), ended()))
    settling = asyncio.create_task(journal.settled(acmes("c")))
    await clock.advance(20)
    assert not calls.settled
    calls.away = False
    await clock.advance(10)
    await asyncio.gather(ending, settling)
    assert calls.types("c") == ["call.started", "call.ended"]
    assert board.finished == ["c"]
    with pytest.raises(NotFoundError):
        await journal.publish(acmes("c"), final(1, "too late"))


async def test_a_full_line_makes_publishers_wait(
    calls: MemoryCalls, board: Board, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backlog is bounded: who comes too many waits outside, in order; partials are dropped."""
    monkeypatch.setattr(journal_module, "MOST_WAITING", 5)
    journal = Journal(calls, board, clock)  # type: ignore[arg-type]
    journal.start()
    journal.open(acmes("c"))
    await journal.publish(acmes("c"), started())
    calls.gate = asyncio.Event()
    publishing = [asyncio.create_task(journal.publish(acmes("c"), final(number, "word"))) for number in range(20)]
    await clock.settle()
    assert journal.waiting <= 5
    for number in range(20):
        await journal.publish(acmes("c"), partial(number, "shed"))
    assert journal.waiting <= 5
    calls.gate.set()
    await asyncio.gather(*publishing)
    await journal.close()
    said = [event.body.segment for event in calls.kept["c"] if event.type == "transcript.final"]  # type: ignore[attr-defined]
    assert said == list(range(20))


async def test_closing_writes_what_is_in_line(calls: MemoryCalls, board: Board, clock: VirtualClock) -> None:
    """All that was published before is kept; what comes after is told that the server stops."""
    journal = Journal(calls, board, clock)  # type: ignore[arg-type]
    journal.start()
    journal.open(acmes("c"))
    publishing = [
        asyncio.create_task(journal.publish(acmes("c"), body)) for body in (started(), final(1, "hello"), ended())
    ]
    await asyncio.sleep(0)
    await journal.publish(acmes("c"), partial(9, "last"))
    await journal.close()
    await asyncio.gather(*publishing)
    assert calls.types("c") == ["call.started", "transcript.final", "call.ended", "transcript.partial"]
    with pytest.raises(StoreError):
        await journal.publish(acmes("c"), final(2, "after"))


async def test_closing_does_not_wait_for_ever(calls: MemoryCalls, board: Board, clock: VirtualClock) -> None:
    """With the store away it gives up after its grace, and every publisher hears so."""
    journal = Journal(calls, board, clock)  # type: ignore[arg-type]
    journal.start()
    journal.open(acmes("c"))
    calls.away = True
    publishing = [asyncio.create_task(journal.publish(acmes("c"), started()))]
    await clock.settle()
    publishing.append(asyncio.create_task(journal.publish(acmes("c"), ended())))
    await clock.settle()
    closing = asyncio.create_task(journal.close(grace_s=10))
    await clock.advance(11)
    await closing
    results = await asyncio.gather(*publishing, return_exceptions=True)
    assert [type(result) for result in results] == [StoreError, StoreError]
    assert calls.kept == {}


async def test_closing_what_never_started(calls: MemoryCalls, board: Board, clock: VirtualClock) -> None:
    """A start that failed half-way can still be taken down."""
    await Journal(calls, board, clock).close()  # type: ignore[arg-type]
