"""Readers of one call: each sees every event once and in order, however they come, go, and keep up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from bridge.deliver.hub import Hub
from bridge.errors import NotFoundError
from bridge.model.events import Event
from bridge.web.audience import AT_A_STRETCH, Audiences, Reader
from bridge.web.subscribers import _frame
from tests.live import Teller, until
from tests.story import Story, acmes, final
from tests.unit.deliver.conftest import MemoryCalls

PATIENCE_S = 0.2


def by_seq(event: Event) -> bytes:
    return b"%d " % event.seq


class Listener:
    """A subscriber that notes what is written to it."""

    transport = "test"
    form = staticmethod(by_seq)

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.room = True
        self.gone = False
        self.freed = asyncio.Event()
        self.meanwhile: Callable[[], None] = lambda: None

    def has_room(self, written: bytes) -> bool:
        return self.room

    async def write(self, written: bytes) -> None:
        assert self.room
        if self.gone:
            raise ConnectionResetError
        self.writes.append(written)
        self.meanwhile()

    async def send(self, event: Event) -> None:
        await self.freed.wait()
        self.writes.append(by_seq(event))

    @property
    def seen(self) -> list[int]:
        return [int(seq) for seq in b"".join(self.writes).split()]


class Room:
    """A call of one node, and who reads it."""

    def __init__(self) -> None:
        self.calls = MemoryCalls()
        self.hub = Hub(self.calls)  # type: ignore[arg-type]
        self.teller = Teller(self.calls, self.hub)
        self.audiences = Audiences(self.hub)
        self.following: list[asyncio.Task[None]] = []

    def follow(self, *, after: int = 0) -> Listener:
        listener = Listener()
        reader = Reader(listener, PATIENCE_S, after)  # type: ignore[arg-type]
        last = len(self.calls.kept["c"])
        self.following.append(asyncio.create_task(self.audiences.follow(acmes("c"), reader, last)))
        return listener

    async def heard(self, count: int, *listeners: Listener) -> None:
        await until(lambda: all(len(listener.seen) == count for listener in listeners))


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    room = Room()
    await room.teller.begin()
    yield room
    for task in room.following:
        task.cancel()
    await asyncio.gather(*room.following, return_exceptions=True)
    await room.teller.journal.close()
    assert room.audiences._of == {}


async def test_readers_that_come_at_any_time(room: Room) -> None:
    """Before, between, behind all that was told, and ahead of it."""
    await room.teller.say(2)
    early, ahead = room.follow(), room.follow(after=5)
    await room.heard(3, early)
    await room.teller.say(1)
    late, there = room.follow(), room.follow(after=4)
    await room.teller.say(2)
    await room.teller.end()
    await asyncio.gather(*room.following)
    assert early.seen == late.seen == list(range(1, 8))
    assert there.seen == [5, 6, 7]
    assert ahead.seen == [6, 7]


async def test_the_call_is_read_once_for_all(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Any] = []
    read = room.hub.call
    monkeypatch.setattr(room.hub, "call", lambda *given, **more: reads.append(given) or read(*given, **more))
    listeners = [room.follow(after=1) for _ in range(100)]
    await room.teller.say(5)
    await room.heard(5, *listeners)
    assert len(reads) == 1


async def test_what_is_told_meanwhile_goes_along_in_one_write(room: Room) -> None:
    """Nobody is written to twice for what had been told before its turn came."""
    listeners = [room.follow(after=1) for _ in range(3 * AT_A_STRETCH)]
    await asyncio.sleep(0)
    story = Story("c")
    told = story.tell(*(final(number, "word") for number in range(3)))
    _, second, third = told
    listeners[0].meanwhile = lambda: (
        room.hub._calls[acmes("c")].put(3, third) or room.hub._calls[acmes("c")].news.send()
    )
    await room.hub.show([second])
    await room.heard(2, *listeners)
    assert listeners[0].writes == [b"2 ", b"3 "]
    assert listeners[-1].writes == [b"2 3 "]


async def test_a_reader_without_room_holds_up_nobody_and_comes_back(room: Room) -> None:
    slow, quick = room.follow(after=1), room.follow(after=1)
    await asyncio.sleep(0)
    slow.room = False
    await room.teller.say(2)
    await room.heard(2, quick)
    assert slow.seen == []
    slow.room = True
    slow.freed.set()
    await room.heard(2, slow)
    await room.teller.say(1)
    await room.heard(3, quick, slow)
    assert slow.seen == quick.seen == [2, 3, 4]


@pytest.mark.parametrize("others", [0, 1])
async def test_a_reader_that_takes_nothing_is_given_up(room: Room, others: int) -> None:
    """Alone, or with others who go on."""
    stuck = room.follow(after=1)
    listeners = [room.follow(after=1) for _ in range(others)]
    await asyncio.sleep(0)
    stuck.room = False
    await room.teller.say(1)
    with pytest.raises(TimeoutError):
        await room.following[0]
    assert stuck.seen == []
    await room.heard(1, *listeners)


async def test_a_reader_that_has_gone(room: Room) -> None:
    gone, other = room.follow(after=1), room.follow(after=1)
    left = room.follow(after=1)
    await asyncio.sleep(0)
    gone.gone = True
    room.following[2].cancel()
    await room.teller.say(2)
    await room.heard(2, other)
    with pytest.raises(ConnectionResetError):
        await room.following[0]
    assert gone.seen == left.seen == []


async def test_a_call_that_cannot_be_read_is_a_fault_for_all(room: Room) -> None:
    """It was another node's, and has been deleted."""
    for _ in range(2):
        room.follow(after=1)
    await asyncio.sleep(0)
    room.hub._calls[acmes("c")].own = False
    room.calls.kept.pop("c")
    room.hub.doubt(acmes("c"))
    for outcome in await asyncio.gather(*room.following, return_exceptions=True):
        assert isinstance(outcome, NotFoundError)


async def test_a_fault_of_ours_leaves_nobody_waiting(room: Room) -> None:
    faulty, other = room.follow(after=1), room.follow(after=1)
    await asyncio.sleep(0)

    def fail() -> None:
        raise LookupError("a bug")

    faulty.meanwhile = fail
    await room.teller.say(1)
    for outcome in await asyncio.gather(*room.following, return_exceptions=True):
        assert isinstance(outcome, LookupError)
    assert other.seen in ([], [2])


@pytest.mark.parametrize("length", [1, 60, 300, 70_000])
def test_a_frame_reads_as_a_text_message(length: int) -> None:
    """Read by another library; the shortest event is longer than a frame with one length byte can say."""
    [event] = Story("c").tell(final(1, "ä" * length))
    stream = StreamReader()
    stream.feed_data(_frame(event))
    parsing = Frame.parse(stream.read_exact, mask=False)
    with pytest.raises(StopIteration) as parsed:
        next(parsing)
    frame = parsed.value.value
    assert (frame.opcode, frame.fin, frame.data) == (Opcode.TEXT, True, event.to_json().encode())
