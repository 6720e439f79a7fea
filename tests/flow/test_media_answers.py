"""What a media socket says back: answers in their order, and a leave that is taken in words."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import ClassVar

import pytest
from aiohttp import WSMessage, WSMsgType

from bridge.errors import BridgeError, CarrierError, CarrierProtocolError, CarrierSilentError
from bridge.ingest.table import State, Table, TableConversation
from bridge.model.stream import Encoding, Leg, MediaFormat, StreamItem, StreamStarted, StreamStopped
from bridge.pulse import Pulse
from bridge.settings import Settings
from bridge.web import media_socket
from bridge.web.media_socket import MediaSocket
from tests.clock import VirtualClock

STARTED = StreamStarted(
    carrier="polite",
    carrier_call_id="1",
    stream_id="1",
    legs=(Leg.CALLER,),
    media_format=MediaFormat(encoding=Encoding.PCMU, sample_rate=8000),
)


class Polite(TableConversation):
    """A dialect that answers every message by its number, and lets the carrier say the last word."""

    TABLE: ClassVar[Table] = {
        (State.NEW, "start"): (lambda _body, _known: [STARTED], State.STREAMING),
        (State.STREAMING, "ping"): (lambda _body, _known: [], State.STREAMING),
        (State.STREAMING, "bye"): (lambda _body, _known: [StreamStopped()], State.STOPPED),
    }
    said = 0

    def receive(self, message: str | bytes) -> list[StreamItem]:
        items = super().receive(message)
        self.said += 1
        self.say(f"answer {self.said}")
        return items

    def leave(self, fault: BridgeError | None) -> bool:
        self.say("please go" if fault is None else f"please go: {fault.code}")
        return self.state is State.STREAMING


class Socket:
    """A carrier's socket, spoken on by hand."""

    def __init__(self) -> None:
        self.coming: asyncio.Queue[WSMessage] = asyncio.Queue()
        self.sent: list[str | bytes] = []
        self.closed: list[int] = []
        self.stuck = False
        self._news = Pulse()

    async def has_sent(self, count: int) -> None:
        """Until so many messages have been sent on it."""
        async with asyncio.timeout(5):
            while len(self.sent) < count:
                await self._news.next().wait()

    def say(self, kind: str) -> None:
        self.coming.put_nowait(WSMessage(WSMsgType.TEXT, f'{{"event":"{kind}"}}', None))

    def hang_up(self) -> None:
        self.coming.put_nowait(WSMessage(WSMsgType.CLOSE, 1000, ""))

    async def receive(self) -> WSMessage:
        return await self.coming.get()

    async def send_str(self, data: str) -> None:
        if self.stuck:
            await asyncio.Event().wait()
        if self.closed:
            raise ConnectionResetError
        self.sent.append(data)
        self._news.send()

    async def send_bytes(self, data: bytes) -> None:
        self.sent.append(data)

    async def close(self, *, code: int, message: bytes) -> bool:
        self.closed.append(code)
        self.coming.put_nowait(WSMessage(WSMsgType.CLOSING, None, None))
        return True


def opened() -> tuple[Socket, MediaSocket]:
    socket = Socket()
    return socket, MediaSocket(socket, Polite(), dialect="twilio", clock=VirtualClock(), settings=Settings())


async def heard(media: MediaSocket) -> list[StreamItem]:
    async with aclosing(media.items()) as items:
        return [item async for item in items]


async def test_an_answer_comes_before_what_is_made_of_the_message() -> None:
    """The carrier is answered however long the call takes over what it has said."""
    socket, media = opened()
    socket.say("start")
    async with aclosing(media.items()) as items:
        assert await anext(items) == STARTED
        assert socket.sent == ["answer 1"]


async def test_answers_keep_their_order() -> None:
    """Whoever makes the conversation say something, from whatever task, nothing overtakes."""
    socket, media = opened()
    conversation = media._conversation
    assert isinstance(conversation, Polite)
    for message in ("a", b"b", "c"):
        conversation.say(message)
    first = asyncio.create_task(media.flush())
    await asyncio.sleep(0)
    conversation.say("d")
    await asyncio.gather(first, media.flush())
    assert socket.sent == ["a", b"b", "c", "d"]


async def test_a_leave_in_words() -> None:
    """The server goes: the carrier is told, is heard to its last word, and its stream has ended as drained."""
    socket, media = opened()
    socket.say("start")
    hearing = asyncio.create_task(heard(media))
    await socket.has_sent(1)
    leaving = asyncio.create_task(media.leave())
    await socket.has_sent(2)
    assert not socket.closed
    for kind in ("ping", "bye"):
        socket.say(kind)
    socket.hang_up()
    await leaving
    assert await hearing == [STARTED, StreamStopped(reason="drained")]
    assert socket.sent == ["answer 1", "please go", "answer 2", "answer 3"]
    assert socket.closed == [1001]


async def test_a_fault_in_words() -> None:
    """A call that fails is over at once; its carrier is still answered until it goes."""
    socket, media = opened()
    for kind in ("start", "start", "ping", "bye"):
        socket.say(kind)
    socket.hang_up()
    with pytest.raises(CarrierProtocolError) as fault:
        await heard(media)
    await media.close(fault.value)
    assert socket.sent == ["answer 1", "please go: carrier_protocol", "answer 2", "answer 3"]
    assert socket.closed == [1002]


async def test_a_carrier_that_breaks_its_leave() -> None:
    """One that goes on breaking its protocol is not listened to any longer."""
    socket, media = opened()
    for kind in ("start", "start", "start", "bye"):
        socket.say(kind)
    with pytest.raises(CarrierProtocolError):
        await heard(media)
    await media.close(CarrierError("enough"))
    assert socket.sent == ["answer 1", "please go: carrier_error"]
    assert socket.closed == [1002]


@pytest.mark.parametrize("reading", [True, False], ids=["while-read", "afterwards"])
async def test_a_carrier_that_does_not_go(reading: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while the socket is closed though it has not said its last word."""
    monkeypatch.setattr(media_socket, "PARTED_WITHIN_S", 0.01)
    socket, media = opened()
    socket.say("start")
    hearing = asyncio.create_task(heard(media))
    await socket.has_sent(1)
    if not reading:
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)
    await media.leave()
    assert socket.closed == [1001]
    if reading:
        assert await hearing == [STARTED, StreamStopped(reason="drained")]


async def test_a_carrier_that_has_gone_is_not_asked_to_go() -> None:
    """Its connection has ended: nothing is said, nothing is waited for."""
    socket, media = opened()
    socket.say("start")
    socket.hang_up()
    assert await heard(media) == [STARTED, StreamStopped(reason="closed")]
    await media.close(None)
    assert socket.sent == ["answer 1"]


async def test_a_carrier_that_takes_no_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is cut off by name: answers are not kept for it, and its messages are not read on without them."""
    monkeypatch.setattr(media_socket, "SENT_WITHIN_S", 0.01)
    socket, media = opened()
    socket.stuck = True
    socket.say("start")
    with pytest.raises(CarrierSilentError, match="no answer of ours was taken"):
        await heard(media)
    assert media.fault is not None
    await media.close(media.fault)
    assert socket.closed == [1008]


async def test_a_carrier_that_goes_while_it_is_answered() -> None:
    """That is an end like any other."""
    socket, media = opened()
    socket.say("start")
    await socket.close(code=1000, message=b"")
    assert await heard(media) == [STARTED, StreamStopped(reason="closed")]
