"""Time on a media socket: silence, floods, slow calls, late media and a shutdown."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import aiohttp

from bridge.ingest.twilio import TwilioStream
from bridge.metrics import MEDIA_ERRORS
from bridge.model.stream import Leg
from bridge.settings import Settings
from bridge.web import media
from bridge.web.media_socket import BREATH, MediaSocket
from tests.calling import call, counted, dialled, say, two_parties
from tests.clock import VirtualClock
from tests.media_server import ServeMedia
from tests.wire import WIRE, read


async def sleeping(clock: VirtualClock) -> None:
    """Until somebody waits for time to pass: the socket has been opened, its deadline runs."""
    while not clock.sleeping:
        await clock.settle()


async def test_late_media_counts(serve_media: ServeMedia) -> None:
    """Frames behind `stop` are heard; half a second later the socket is closed though the carrier has not."""
    clock = VirtualClock()
    server = await serve_media(auth="off", clock=clock)
    _, messages = read(WIRE / "twilio" / "late-media.jsonl")
    async with dialled(server.twilio) as socket:
        await say(socket, messages)
        taken = await server.taker.next_call(ended=False)
        await taken.heard(5)
        assert not taken.ended.is_set()
        await clock.advance(0.5)
        closed = await asyncio.wait_for(socket.receive(), 5)
        assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, 1000)
    await asyncio.wait_for(taken.ended.wait(), 5)
    assert [len(taken.chunks(leg)) for leg in (Leg.CALLER, Leg.AGENT)] == [2, 1]
    assert taken.stop_reasons == ["hangup"]


async def test_a_stream_that_never_starts(serve_media: ServeMedia) -> None:
    """After the start timeout the socket closes with 1008; no call has begun."""
    clock = VirtualClock()
    server = await serve_media(auth="off", clock=clock, start_timeout_s=10)
    before = counted(MEDIA_ERRORS, "twilio", "carrier_silent")
    async with dialled(server.twilio) as socket:
        await socket.send_str('{"event":"connected"}')
        await sleeping(clock)
        await clock.advance(9.9)
        assert not socket.closed
        await clock.advance(0.2)
        closed = await asyncio.wait_for(socket.receive(), 5)
    assert (closed.data, closed.extra) == (1008, "carrier_silent: no stream started within 10 s")
    assert server.taker.taken.empty()
    assert counted(MEDIA_ERRORS, "twilio", "carrier_silent") == before + 1


async def test_a_socket_that_goes_quiet(serve_media: ServeMedia) -> None:
    """Silence for the idle timeout, counted from the last message, ends the call as idle; what was heard stays."""
    clock = VirtualClock()
    server = await serve_media(auth="off", clock=clock, idle_timeout_s=30)
    _, [connected, start, frame, *_] = read(WIRE / "twilio" / "hang-up-without-stop.jsonl")
    async with dialled(server.twilio) as socket:
        await say(socket, [connected, start])
        taken = await server.taker.next_call(ended=False)
        for n in range(1, 4):
            await sleeping(clock)
            await clock.advance(29)
            await socket.send_str(frame)
            await taken.heard(n)
        await clock.advance(29)
        assert not taken.ended.is_set()
        await clock.advance(1.1)
        closed = await asyncio.wait_for(socket.receive(), 5)
    await asyncio.wait_for(taken.ended.wait(), 5)
    assert closed.data == 1008
    assert len(taken.items) == 4
    assert taken.stop_reasons == ["idle"]
    assert taken.fault is None


async def test_a_slow_call_is_not_a_quiet_carrier(serve_media: ServeMedia) -> None:
    """While a call is busy with what it has, the idle clock does not run against the carrier."""
    clock = VirtualClock()
    server = await serve_media(auth="off", clock=clock, idle_timeout_s=30)
    go_on = asyncio.Event()
    server.taker.pace = go_on.wait
    _, messages = read(WIRE / "twilio" / "both-tracks.jsonl")
    async with dialled(server.twilio) as socket:
        await say(socket, messages)
        taken = await server.taker.next_call(ended=False)
        await taken.heard(1)
        await clock.advance(300)
        go_on.set()
    await asyncio.wait_for(taken.ended.wait(), 5)
    assert taken.stop_reasons == ["hangup"]
    assert len(taken.chunks(Leg.CALLER)) == 5


async def test_a_flood(serve_media: ServeMedia) -> None:
    """Ten thousand messages a second are let through for a while, then the call is cut off by name; others go on."""
    clock = VirtualClock()  # time stands still: however slow this machine, the flood is one
    server = await serve_media(auth="off", clock=clock)
    before = counted(MEDIA_ERRORS, "twilio", "carrier_flood")
    _, good = read(WIRE / "twilio" / "both-tracks.jsonl")
    async with dialled(server.twilio) as bystander:
        await say(bystander, good[:5])
        report = await call(server.twilio, two_parties(300))
        await say(bystander, good[5:])
    assert report.close_code == 1008
    assert report.close_reason == "carrier_flood: more than 2000 messages a second"
    assert counted(MEDIA_ERRORS, "twilio", "carrier_flood") == before + 1
    quiet, loud = [await server.taker.next_call() for _ in range(2)]
    assert quiet.stop_reasons == ["hangup"]
    assert loud.fault is not None
    assert len(loud.items) > 19_000


async def test_a_slow_call_holds_back_its_carrier(serve_media: ServeMedia) -> None:
    """Nothing piles up here: what a call has not asked for waits in TCP, and the carrier cannot send on."""
    server = await serve_media(auth="off")
    go_on = asyncio.Event()
    server.taker.pace = go_on.wait
    seconds_a_frame = 8
    audio = two_parties(seconds_a_frame * 150, frame_ms=1000 * seconds_a_frame)  # 300 messages of 87 kB
    calling = asyncio.create_task(call(server.twilio, audio))
    done, _ = await asyncio.wait([calling], timeout=1)
    assert not done
    go_on.set()
    await calling
    heard = await server.taker.next_call()
    assert sum(len(chunk.payload) for chunk in heard.chunks(Leg.CALLER)) == seconds_a_frame * 150 * 8000


async def test_a_shutdown(serve_media: ServeMedia) -> None:
    """Calls in progress end as drained, sockets close with 1001, and `leave` returns when the calls have ended."""
    server = await serve_media(auth="off")
    _, messages = read(WIRE / "twilio" / "hang-up-without-stop.jsonl")
    async with dialled(server.twilio) as socket, dialled(server.twilio) as silent:
        await say(socket, messages)
        taken = await server.taker.next_call(ended=False)
        await taken.heard(4)
        leaving = asyncio.create_task(media.leave(server.app))
        closed = [await asyncio.wait_for(each.receive(), 5) for each in (socket, silent)]
        await asyncio.wait_for(leaving, 5)
    assert taken.ended.is_set()
    assert taken.stop_reasons == ["drained"]
    assert [frame.data for frame in closed] == [1001, 1001]
    assert not server.app[media.SOCKETS]


class ReadySocket:
    """A socket whose carrier always has another message ready."""

    def __init__(self, messages: Iterator[str]) -> None:
        self._messages = messages

    async def receive(self) -> aiohttp.WSMessage:
        message = next(self._messages, None)
        kind = aiohttp.WSMsgType.CLOSED if message is None else aiohttp.WSMsgType.TEXT
        return aiohttp.WSMessage(kind, message, None)


async def test_a_full_socket_lets_others_work() -> None:
    """Messages that need no waiting for are read a few at a time: everybody else gets a turn in between."""
    _, [connected, start, frame, *_] = read(WIRE / "twilio" / "both-tracks.jsonl")
    turns = 0

    async def somebody_else() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(somebody_else())
    reading = MediaSocket(
        ReadySocket(iter([connected, start, *[frame] * 10_000])),
        TwilioStream(),
        dialect="twilio",
        clock=VirtualClock(),
        settings=Settings(),
    )
    heard = [item async for item in reading.items()]
    other.cancel()
    assert len(heard) == 10_002  # the start, the frames, the end
    assert turns >= 10_000 // BREATH
