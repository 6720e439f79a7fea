"""A process that goes in the middle of calls, and the next one: no word is lost, none is told twice, every call ends once."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import pytest

from bridge import call as call_module
from bridge.calls import Calls
from bridge.clock import SystemClock
from bridge.deliver.hub import Hub
from bridge.deliver.journal import Journal
from bridge.errors import ConflictError, NotFoundError, StoreError
from bridge.model.call_key import CallKey
from bridge.model.events import CallDegraded, CallEnded, CallStarted, DtmfReceived, Event, MediaGap, SpeakerUpdated
from bridge.model.frame import Samples
from bridge.model.likeness import Vector
from bridge.model.records import CallStatus, DeliveryFilter, DeliveryStatus
from bridge.model.stream import (
    DtmfDigit,
    Encoding,
    Leg,
    MediaChunk,
    MediaFormat,
    StreamItem,
    StreamStarted,
    StreamStopped,
)
from bridge.ports import Decoded, DecodeJob, Store, Urgency
from bridge.recovery import Recovery
from bridge.spool.kept import forget
from bridge.spool.spool import Spool
from tests.contract.builders import an_endpoint
from tests.receiver import until
from tests.story import Story, acmes, ended, final
from tests.story import started as call_started
from tests.tones import DURATION_MS, LINE_RATE, SCRIPT, ToneEngine, recording, tone_segmenter, words_in
from tests.voices import ScriptedVoices, voice

STARTED = StreamStarted(
    carrier="twilio",
    carrier_call_id="CA1",
    stream_id="MZ1",
    legs=(Leg.CALLER, Leg.AGENT),
    media_format=MediaFormat(encoding=Encoding.L16_LE, sample_rate=LINE_RATE),
    parameters={"call_id": "call-1", "metadata.order": "447"},
)
FRAME_MS = 20
HANGOVER_MS = 500

WHILE_SOMEBODY_SPEAKS = [3_300, 6_100, 12_000, 14_450]
BETWEEN_UTTERANCES = [20, 2_500, 9_400, DURATION_MS]


def conversation(until_ms: int = DURATION_MS) -> list[StreamItem]:
    """Both legs, 20 ms at a time; one chunk in fifty is lost, and a key is pressed."""
    legs = recording().legs
    step = LINE_RATE * FRAME_MS // 1000
    items: list[StreamItem] = []
    for number in range(until_ms // FRAME_MS):
        at = slice(number * step, (number + 1) * step)
        items += [
            MediaChunk(leg=leg, payload=legs[leg][at].tobytes(), sequence=number, timestamp_ms=float(number * FRAME_MS))
            for leg in (Leg.CALLER, Leg.AGENT)
            if (number, leg) != (37, Leg.CALLER)
        ]
        if number == 60:
            items.append(DtmfDigit(leg=Leg.CALLER, digit="5"))
    return items


def said_by(cut_ms: int) -> set[str]:
    """The words that were whole on the line by then."""
    return {spoken.word for _, words in SCRIPT for spoken in words if spoken.end_ms < cut_ms - FRAME_MS}


def begun_by(cut_ms: int) -> set[str]:
    return {spoken.word for _, words in SCRIPT for spoken in words if spoken.start_ms < cut_ms}


@dataclass
class Process:
    """What one server has of calls, over a store and a folder that outlive it."""

    store: Store
    folder: Path
    engine: Any = field(default_factory=ToneEngine)
    keep: bool = False
    clock: SystemClock = field(default_factory=SystemClock)
    voices: ScriptedVoices | None = None

    async def __aenter__(self) -> Self:
        clock = self.clock
        self.journal = Journal(self.store, Hub(self.store), clock)
        self.journal.start()
        self.spool = Spool(self.folder, keep=self.keep)
        self.spool.start()
        self.calls = Calls(
            engine=self.engine,
            sink=self.journal,
            clock=clock,
            max_calls=10,
            language="en",
            languages=frozenset({"en"}),
            hangover_ms=HANGOVER_MS,
            spool=self.spool,
            voices=self.voices,
            diarize=self.voices is not None,
        )
        self.recovery = Recovery(
            store=self.store, sink=self.journal, spool=self.spool, calls=self.calls, clock=clock, shared=False
        )
        await self.recovery.look()
        return self

    async def __aexit__(self, *_: object) -> None:
        """It goes without a word: what was under way stays as it is."""
        closing = asyncio.create_task(self.calls.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        await self.journal.close(grace_s=0)
        await self.spool.close()

    @asynccontextmanager
    async def hearing(
        self, items: list[StreamItem], *, started: StreamStarted = STARTED, tenant: str = "acme"
    ) -> AsyncIterator[None]:
        """A call that has said all of `items`, and goes on."""
        heard = asyncio.Event()

        async def line() -> AsyncIterator[StreamItem]:
            for item in items:
                yield item
            heard.set()
            await asyncio.Event().wait()

        taking = asyncio.create_task(self.calls.take(started, line(), tenant=tenant))
        await heard.wait()
        yield
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)


@pytest.fixture(autouse=True)
def tones_are_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_module, "Segmenter", tone_segmenter)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


def tapes(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.tape"))


def files(folder: Path) -> list[str]:
    return sorted(path.suffix for path in folder.iterdir())


async def events_of(store: Store, call_id: str = "call-1") -> list[Event]:
    return list(await store.events("acme", call_id, after=0, limit=10_000))


async def words_of(store: Store, call_id: str = "call-1", tenant: str = "acme") -> list[str]:
    return [word for segment in await store.segments(tenant, call_id) for word in segment.text.split()]


async def cut_off(
    store: Store, folder: Path, items: list[StreamItem], *, settle_s: float = 0.0, clock: SystemClock | None = None
) -> None:
    """A process that hears `items` and is gone `settle_s` later."""
    process = await Process(store, folder, clock=clock or SystemClock()).__aenter__()
    async with process.hearing(items):
        await asyncio.sleep(settle_s)
        await process.__aexit__()
    await store.ping()  # behind a write that was under way: no process outlives its own


@pytest.mark.parametrize("told_s", [pytest.param(0.0, id="told-little"), pytest.param(0.5, id="told-all-it-could")])
@pytest.mark.parametrize("cut_ms", [*WHILE_SOMEBODY_SPEAKS, *BETWEEN_UTTERANCES])
async def test_a_call_that_is_cut_off_is_told_to_its_end(
    sqlite_store: Store, folder: Path, cut_ms: int, told_s: float
) -> None:
    """Wherever it was cut, and however much was told by then: every word once, one end, no hole in `seq`, no file."""
    await cut_off(sqlite_store, folder, conversation(cut_ms), settle_s=told_s)
    assert files(folder) == [".tape"]
    async with Process(sqlite_store, folder) as process:
        await process.recovery.run()
        words = await words_of(sqlite_store)
        assert len(words) == len(set(words))
        assert said_by(cut_ms) <= set(words) <= begun_by(cut_ms)
        record = await sqlite_store.call("acme", "call-1")
        assert (record.status, record.reason, record.settled) == (CallStatus.COMPLETED, "recovered", True)
        assert record.duration_ms == pytest.approx(cut_ms, abs=FRAME_MS)
    events = await events_of(sqlite_store)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    for kind in (CallStarted, CallEnded):
        assert sum(isinstance(event.body, kind) for event in events) == 1
    gaps = [event.body for event in events if isinstance(event.body, MediaGap)]
    assert [(gap.leg, gap.at_ms) for gap in gaps] == ([(Leg.CALLER, 740)] if cut_ms > 740 + 520 else [])
    keys = [event.body for event in events if isinstance(event.body, DtmfReceived)]
    assert len(keys) == (cut_ms > 1_220)
    assert files(folder) == []


async def test_the_numbers_of_segments_go_on(sqlite_store: Store, folder: Path) -> None:
    """What was told before the cut stays as it was told; what follows counts on behind it."""
    await cut_off(sqlite_store, folder, conversation(14_450), settle_s=0.5)
    before = await sqlite_store.segments("acme", "call-1")
    async with Process(sqlite_store, folder) as process:
        await process.recovery.run()
    after = await sqlite_store.segments("acme", "call-1")
    assert set(before) < set(after)
    for leg in Leg:
        numbers = [segment.segment for segment in after if segment.leg is leg]
        assert numbers == list(range(1, len(numbers) + 1))


def by_tone(samples: Samples) -> Vector:
    """From tone 6 on another voice than before."""
    numbers = [int(word.text.removeprefix("tone")) for word in words_in(samples)]
    return voice(int(max(numbers, default=0) >= 6))


@pytest.mark.parametrize("takes_s", [pytest.param(0.0, id="in-time"), pytest.param(3.0, id="not-told-before")])
async def test_speakers_keep_their_names(sqlite_store: Store, folder: Path, takes_s: float) -> None:
    """Two on each leg, however much of that the process that was cut off had found out."""
    process = await Process(
        sqlite_store, folder, voices=ScriptedVoices(SystemClock(), takes_s=takes_s, answer=by_tone)
    ).__aenter__()
    async with process.hearing(conversation(14_450)):
        await asyncio.sleep(0.8)
        await process.__aexit__()
    before = {
        (segment.leg, segment.segment): segment.speaker for segment in await sqlite_store.segments("acme", "call-1")
    }
    again = ScriptedVoices(SystemClock(), takes_s=0.0, answer=by_tone)
    async with Process(sqlite_store, folder, voices=again) as process:
        await process.recovery.run()
    after = await sqlite_store.segments("acme", "call-1")
    assert [segment.speaker for segment in after if segment.leg is Leg.CALLER] == ["S1", "S2", "S2"]
    assert [segment.speaker for segment in after if segment.leg is Leg.AGENT] == ["S1", "S1", "S2"]
    assert (None in before.values()) == (takes_s > 0)
    changed = [event.body for event in await events_of(sqlite_store) if isinstance(event.body, SpeakerUpdated)]
    assert {(one.leg, one.segment) for one in changed} == {key for key, speaker in before.items() if speaker is None}


async def test_a_webhook_goes_out(sqlite_store: Store, folder: Path) -> None:
    """The recovered call's one `call.completed` is due at once, with the settled text."""
    await sqlite_store.create_endpoint(an_endpoint(events=("call.completed",)))
    await cut_off(sqlite_store, folder, conversation(9_400))
    async with Process(sqlite_store, folder) as process:
        await process.recovery.run()
    [delivery] = (await sqlite_store.deliveries("acme", "we_1", DeliveryFilter(), limit=10)).deliveries
    assert delivery.status is DeliveryStatus.PENDING
    assert delivery.payload["data"]["transcript"]["settled"] is True
    assert delivery.payload["data"]["metadata"] == {"order": "447"}


async def test_a_call_whose_start_was_not_kept_is_told_from_the_start(sqlite_store: Store, folder: Path) -> None:
    """The disk knew of it before the database did."""
    async with Process(sqlite_store, folder) as process:
        tape = process.calls._tape(call(process))
        assert tape is not None
        for item in conversation(6_100):
            tape.write(item)
    async with Process(sqlite_store, folder) as process:
        await process.recovery.run()
    assert said_by(6_100) <= set(await words_of(sqlite_store))
    assert (await sqlite_store.call("acme", "call-1")).reason == "recovered"


def call(process: Process) -> Any:
    return process.calls._open(STARTED, "acme")


async def test_a_process_cut_off_while_it_recovers_leaves_the_rest_to_the_next(
    sqlite_store: Store, folder: Path
) -> None:
    """However often: still every word once and one end."""
    await cut_off(sqlite_store, folder, conversation())
    for _ in range(3):
        async with Process(sqlite_store, folder, engine=Slow()) as process:
            running = asyncio.create_task(process.recovery.run())
            await asyncio.sleep(0.15)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    async with Process(sqlite_store, folder) as process:
        await process.recovery.run()
    words = await words_of(sqlite_store)
    assert sorted(words) == sorted(begun_by(DURATION_MS))
    assert sum(isinstance(event.body, CallEnded) for event in await events_of(sqlite_store)) == 1


class Slow(ToneEngine):
    async def decode(self, job: DecodeJob) -> Decoded | None:
        await asyncio.sleep(0.05)
        return await super().decode(job)


class Ahead(SystemClock):
    def now(self) -> float:
        return super().now() + 3600


async def test_a_clock_that_was_set_back_loses_no_call(sqlite_store: Store, folder: Path) -> None:
    """By the next process's time the call has not begun yet; its tape is told all the same."""
    await cut_off(sqlite_store, folder, conversation(9_400), settle_s=0.2, clock=Ahead())
    async with Process(sqlite_store, folder) as process:
        await process.recovery.run()
    assert said_by(9_400) <= set(await words_of(sqlite_store))
    record = await sqlite_store.call("acme", "call-1")
    assert (record.reason, record.settled) == ("recovered", True)


async def test_a_call_of_the_future_without_a_tape_is_interrupted(sqlite_store: Store, folder: Path) -> None:
    """It does not stay in progress until the clock has come there."""
    await sqlite_store.append(Story(at=time.time() + 3600).tell(call_started()))
    async with Process(sqlite_store, folder) as process:
        await process.recovery.run()
    assert (await sqlite_store.call("acme", "call-1")).error == "interrupted"


class Away:
    """A store that does not answer the first questions about unfinished calls."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.refused = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def events(self, *given: Any, **named: Any) -> Any:
        self.refused += 1
        if self.refused <= 2:
            raise StoreError("away")
        return await self._store.events(*given, **named)


async def test_a_database_that_is_away_delays_recovery(
    sqlite_store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call does not have to wait for yet another start."""
    monkeypatch.setattr("bridge.recovery.LOOK_AGAIN_S", 0.01)
    await cut_off(sqlite_store, folder, conversation(6_100), settle_s=0.2)
    away = Away(sqlite_store)
    async with Process(away, folder) as process:  # type: ignore[arg-type]
        await process.recovery.run()
    assert away.refused > 2
    assert (await sqlite_store.call("acme", "call-1")).reason == "recovered"


class Closed:
    """A store that says nothing of unfinished calls while it is `closed`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.closed = False
        self.refused = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def unfinished(self) -> Any:
        if self.closed:
            self.refused += 1
            raise StoreError("away")
        return await self._store.unfinished()


async def test_a_tape_that_is_found_while_the_database_is_away_is_found_again(
    sqlite_store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever had a lock on it in vain gives it back."""
    monkeypatch.setattr("bridge.recovery.LOOK_AGAIN_S", 0.01)
    store = Closed(sqlite_store)
    async with Process(store, folder) as new:  # type: ignore[arg-type]
        async with Process(sqlite_store, folder) as old, old.hearing(conversation(6_100)):
            await until(lambda: len(tapes(folder)) == 1)
            await new.recovery.look()
            recovering = asyncio.create_task(new.recovery.run())
            store.closed = True
        before = store.refused
        await until(lambda: store.refused > before + 1)
        store.closed = False
        await recovering
    assert (await sqlite_store.call("acme", "call-1")).reason == "recovered"


async def test_a_call_that_was_drained_ends_so(sqlite_store: Store, folder: Path) -> None:
    """Its process meant to end it and ran out of time."""
    await cut_off(sqlite_store, folder, [*conversation(6_100), StreamStopped(reason="drained")])
    async with Process(sqlite_store, folder) as process:
        await process.recovery.run()
    assert (await sqlite_store.call("acme", "call-1")).reason == "drained"


async def test_an_end_without_a_settled_text_is_settled(sqlite_store: Store, folder: Path) -> None:
    """Its finals stand; the held delivery goes out now."""
    await sqlite_store.create_endpoint(an_endpoint(events=("call.completed",)))
    await sqlite_store.append(Story(at=1_700_000_000).tell(call_started(), final(1, "hello"), ended()))
    async with Process(sqlite_store, folder) as process:
        await process.recovery.run()
    assert (await sqlite_store.call("acme", "call-1")).settled
    [delivery] = (await sqlite_store.deliveries("acme", "we_1", DeliveryFilter(), limit=10)).deliveries
    assert delivery.status is DeliveryStatus.PENDING


async def test_a_call_without_a_tape_is_interrupted(sqlite_store: Store, folder: Path) -> None:
    """It does not stay in progress: `call.failed` says that what was heard was not kept, and has what was told."""
    await sqlite_store.create_endpoint(an_endpoint(events=("call.failed",)))
    await sqlite_store.append(Story(at=1_700_000_000).tell(call_started(), final(1, "hello")))
    async with Process(sqlite_store, folder) as process:
        await process.recovery.run()
    record = await sqlite_store.call("acme", "call-1")
    assert (record.status, record.error, record.settled) == (CallStatus.FAILED, "interrupted", True)
    [delivery] = (await sqlite_store.deliveries("acme", "we_1", DeliveryFilter(), limit=10)).deliveries
    assert delivery.payload["data"]["error"]["code"] == "interrupted"
    assert delivery.payload["data"]["transcript"]["text"] == "hello"


async def test_calls_of_a_server_that_lives_are_not_touched(sqlite_store: Store, folder: Path) -> None:
    """One drains while the next starts over the same store and folder: the call goes on and ends where it began."""
    async with Process(sqlite_store, folder) as old, old.hearing(conversation(3_300)):
        await until(lambda: len(tapes(folder)) == 1)
        async with Process(sqlite_store, folder) as new:
            recovering = asyncio.create_task(new.recovery.run())
            await asyncio.sleep(0.2)
            assert (await sqlite_store.call("acme", "call-1")).status is CallStatus.IN_PROGRESS
            recovering.cancel()
            await asyncio.gather(recovering, return_exceptions=True)


async def test_a_damaged_tape_is_told_as_far_as_it_goes(sqlite_store: Store, folder: Path) -> None:
    """The call ends as an error, with what came before the damage; the file is set aside for a person."""
    await cut_off(sqlite_store, folder, conversation(9_400))
    [path] = tapes(folder)
    content = bytearray(path.read_bytes())
    content[-200] ^= 1
    path.write_bytes(bytes(content) + b"more")
    async with Process(sqlite_store, folder) as process:
        await process.recovery.run()
    assert (await sqlite_store.call("acme", "call-1")).status is CallStatus.FAILED
    assert files(folder) == [".damaged"]


async def test_a_full_disk_costs_a_call_nothing_but_its_recovery(
    sqlite_store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every word is told, the call says once that it would not survive a crash, and it ends as it would have."""

    def full(handle: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def line() -> AsyncIterator[StreamItem]:
        for item in conversation(6_100):
            yield item
        monkeypatch.setattr("bridge.spool.file.os.write", full)
        for item in conversation()[len(conversation(6_100)) :]:
            yield item
        await asyncio.sleep(0.5)  # until the disk has been asked
        yield StreamStopped()

    async with Process(sqlite_store, folder) as process:
        await process.calls.take(STARTED, line(), tenant="acme")
        await until(lambda: files(folder) == [])
    assert sorted(await words_of(sqlite_store)) == sorted(begun_by(DURATION_MS))
    degraded = [event.body for event in await events_of(sqlite_store) if isinstance(event.body, CallDegraded)]
    assert [(body.reason, body.what) for body in degraded] == [("spool", "recovery")]
    assert (await sqlite_store.call("acme", "call-1")).reason == "hangup"


async def test_an_id_is_its_calls_until_it_has_ended(sqlite_store: Store, folder: Path) -> None:
    """A new call may not take it; other calls are served meanwhile."""
    await cut_off(sqlite_store, folder, conversation(9_400))
    async with Process(sqlite_store, folder) as process:
        with pytest.raises(ConflictError):
            await process.calls.take(STARTED, no_items(), tenant="acme")
        await process.recovery.run()
        with pytest.raises(ConflictError):  # the store knows it by now
            await process.calls.take(STARTED, no_items(), tenant="acme")
        await until(lambda: files(folder) == [])


async def test_an_id_is_its_tenants_own(sqlite_store: Store, folder: Path) -> None:
    """Two tenants' calls of one id go on side by side, outlive a crash as two, and are deleted one by one."""
    process = await Process(sqlite_store, folder).__aenter__()
    async with process.hearing(conversation(6_100)), process.hearing(conversation(9_400), tenant="other"):
        await process.__aexit__()
    async with Process(sqlite_store, folder, keep=True) as process:
        await process.recovery.run()
        for tenant, cut_ms in (("acme", 6_100), ("other", 9_400)):
            assert said_by(cut_ms) <= set(await words_of(sqlite_store, tenant=tenant)) <= begun_by(cut_ms)
    forget(folder, CallKey("other", "call-1"))
    await sqlite_store.delete_call("other", "call-1")
    assert said_by(6_100) <= set(await words_of(sqlite_store))
    assert files(folder) == [".kept"]


async def no_items() -> AsyncIterator[StreamItem]:
    return
    yield


class SecondThoughts(ToneEngine):
    """Hears everything otherwise when it is settled, which it does once it is let."""

    def __init__(self) -> None:
        self.may_settle = asyncio.Event()

    async def decode(self, job: DecodeJob) -> Decoded | None:
        found = await super().decode(job)
        if job.urgency is not Urgency.SETTLE or found is None:
            return found
        await self.may_settle.wait()
        words = tuple(replace(word, text=f"{word.text}x") for word in found.words)
        return replace(found, text=" ".join(word.text for word in words), words=words)


async def test_a_call_that_is_deleted_while_it_is_settled(sqlite_store: Store, folder: Path) -> None:
    """Nothing of it comes back: no event, no recording, no call at the next start; its id is free again."""
    engine = SecondThoughts()
    async with Process(sqlite_store, folder, engine=engine, keep=True) as process:
        items = [*conversation(), StreamStopped(reason="hangup")]

        async def line() -> AsyncIterator[StreamItem]:
            for item in items:
                yield item

        await process.calls.take(STARTED, line(), tenant="acme")
        assert not (await sqlite_store.call("acme", "call-1")).settled
        forget(folder, acmes("call-1"))
        await sqlite_store.delete_call("acme", "call-1")
        engine.may_settle.set()
        await process.calls.close()
        process.journal.open(acmes("call-1"))  # not in the way of another
    assert files(folder) == []
    async with Process(sqlite_store, folder) as process:
        await process.recovery.run()
    with pytest.raises(NotFoundError):
        await sqlite_store.call("acme", "call-1")
