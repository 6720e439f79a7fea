"""Media sockets: a carrier calls over a real WebSocket, and its words reach the call whole, whatever goes wrong."""

from __future__ import annotations

import asyncio
import base64
import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from bridge.carrier.audio import CallAudio, EncodedAudio, encode
from bridge.carrier.faults import Faults
from bridge.carrier.place import CallRefusedError, CallReport, Manner, place_call
from bridge.carrier.side import Dialled, Key
from bridge.carrier.twilio import TwilioSide
from bridge.clock import SystemClock
from bridge.errors import CapacityError, ConflictError, StoreError, UnsupportedMediaError
from bridge.metrics import CALLS_REFUSED, MEDIA_ERRORS, MEDIA_MESSAGES
from bridge.model.stream import DtmfDigit, Leg
from bridge.web import media
from bridge.web.auth import Scope
from tests.clock import VirtualClock
from tests.media_server import API_KEY, MediaServer, ServeMedia
from tests.wire import WIRE, name, read, recordings

AT_ONCE = Manner(speed=math.inf)
SECRET = "0123456789abcdef0123456789abcdef"


def two_parties(seconds: float, *, frame_ms: int = 20) -> EncodedAudio:
    """Two different ramps, so that legs and order show."""
    ramp = np.arange(int(seconds * 8000), dtype=np.int16)
    return encode(CallAudio({Leg.CALLER: ramp, Leg.AGENT: -ramp}, 8000), TwilioSide.media_format, frame_ms=frame_ms)


async def call(
    url: str, audio: EncodedAudio, *, manner: Manner = AT_ONCE, headers: Any = None, **given: Any
) -> CallReport:
    side = TwilioSide(Dialled(legs=audio.legs, **given))
    return await place_call(url, audio, side, clock=SystemClock(), manner=manner, headers=headers)


def counted(counter: Any, *labels: str) -> float:
    return counter.labels(*labels)._value.get()


# -- a call ---------------------------------------------------------------------------------------------------------


async def test_a_call_arrives_whole(serve_media: ServeMedia) -> None:
    """Every frame of both legs, in order, with its place in time; parameters and keys; one hang-up; all counted."""
    server = await serve_media(auth="off")
    audio = two_parties(2)
    before = counted(MEDIA_MESSAGES, "twilio")
    manner = Manner(speed=math.inf, keys=[Key(500, Leg.CALLER, "7")])
    report = await call(server.twilio, audio, manner=manner, parameters={"metadata.queue": "sales"})
    heard = await server.taker.next_call()
    for leg in (Leg.CALLER, Leg.AGENT):
        chunks = heard.chunks(leg)
        assert [chunk.payload for chunk in chunks] == [frame[leg] for frame in audio.frames]
        assert [chunk.timestamp_ms for chunk in chunks] == [20 * n for n in range(100)]
        assert [chunk.sequence for chunk in chunks] == list(range(1, 101))
    assert [item.digit for item in heard.items if isinstance(item, DtmfDigit)] == ["7"]
    assert heard.started.parameters == {"metadata.queue": "sales"}
    assert heard.stop_reasons == ["hangup"]
    assert (report.close_code, report.messages_sent) == (1000, 204)
    assert counted(MEDIA_MESSAGES, "twilio") - before == 204


async def test_when_each_sample_was_sent(serve_media: ServeMedia) -> None:
    """The report gives the wall clock of any sample's departure, in step with real time times `speed`."""
    server = await serve_media(auth="off")
    clock = SystemClock()
    began = clock.now()
    report = await call(server.twilio, two_parties(2), manner=Manner(speed=5, delay_s=0.1))
    assert report.sent_at(0) >= began + 0.1
    assert report.sent_at(1999) - report.sent_at(0) == pytest.approx(99 * 0.02 / 5, abs=0.1)
    assert report.sent_at(100) == report.sent_at(119) < report.sent_at(120)
    assert math.isnan(report.sent_at(2000))
    assert math.isnan(report.sent_at(-1))


@pytest.mark.parametrize("word", ["closing-frame", "nothing"])
async def test_a_hang_up_without_stop(serve_media: ServeMedia, word: str) -> None:
    """The socket just ends, with or without a closing frame: what came before is heard, and the call has closed."""
    server = await serve_media(auth="off")
    if word == "nothing":
        await call(server.twilio, two_parties(1), manner=Manner(speed=20, faults=Faults(hang_up_at_ms=510)))
        expected = 25
    else:
        _, messages = read(WIRE / "twilio" / "hang-up-without-stop.jsonl")
        async with dialled(server) as socket:
            await say(socket, messages)
        expected = 2
    heard = await server.taker.next_call()
    assert heard.stop_reasons == ["closed"]
    assert len(heard.chunks(Leg.CALLER)) == expected
    assert heard.fault is None


async def test_late_media_counts(serve_media: ServeMedia) -> None:
    """Frames behind `stop` are heard; half a second later the socket is closed though the carrier has not."""
    clock = VirtualClock()
    server = await serve_media(auth="off", clock=clock)
    _, messages = read(WIRE / "twilio" / "late-media.jsonl")
    async with dialled(server) as socket:
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


# -- who may --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "given", "tenant"),
    [
        pytest.param({}, {"headers": {"Authorization": f"Bearer {API_KEY}"}}, "acme", id="bearer"),
        pytest.param({}, {"token": API_KEY}, "acme", id="token-parameter"),
        pytest.param({"auth": "off"}, {}, "default", id="auth-off"),
        pytest.param({"bootstrap_key": "first"}, {"token": "first"}, "default", id="bootstrap-key"),
        pytest.param({"twilio_auth_token": SECRET}, {"secret": SECRET}, "default", id="signature"),
        pytest.param(
            {"twilio_auth_token": SECRET},
            {"headers": {"Authorization": f"Bearer {API_KEY}"}},
            "acme",
            id="bearer-for-signature",
        ),
    ],
)
async def test_who_is_let_in(
    serve_media: ServeMedia, settings: dict[str, Any], given: dict[str, Any], tenant: str
) -> None:
    """Each kind of credential opens the line, and says whose the call is. None of them goes on into the call."""
    server = await serve_media(**settings)
    report = await call(server.twilio, two_parties(0.1), **given)
    heard = await server.taker.next_call()
    assert heard.tenant == tenant
    assert "token" not in heard.started.parameters
    assert report.close_code == 1000


@pytest.mark.parametrize(
    ("settings", "given", "status"),
    [
        pytest.param({"twilio_auth_token": SECRET}, {}, 403, id="signature-missing"),
        pytest.param({"twilio_auth_token": SECRET}, {"secret": "another"}, 403, id="signature-wrong"),
        pytest.param({"twilio_auth_token": SECRET}, {"token": API_KEY}, 403, id="token-for-signature"),
        pytest.param({"twilio_auth_token": SECRET, "auth": "off"}, {}, 403, id="signature-missing-auth-off"),
        pytest.param({}, {"headers": {"Authorization": "Bearer wrong"}}, 401, id="bearer-wrong"),
        pytest.param({}, {"headers": {"Authorization": "Basic Og=="}}, 401, id="no-bearer"),
    ],
)
async def test_who_is_turned_away(
    serve_media: ServeMedia, settings: dict[str, Any], given: dict[str, Any], status: int
) -> None:
    """What can be judged by the upgrade is refused before it, and counted."""
    server = await serve_media(**settings)
    code = "carrier_unauthorised" if status == 403 else "unauthorised"
    before = counted(CALLS_REFUSED, "twilio", code)
    with pytest.raises(CallRefusedError, match=str(status)):
        await call(server.twilio, two_parties(0.1), **given)
    assert counted(CALLS_REFUSED, "twilio", code) == before + 1


@pytest.mark.parametrize("token", [None, "", "cbk_nobody's", "x" * 5000], ids=["missing", "empty", "unknown", "huge"])
async def test_a_token_that_is_wrong(serve_media: ServeMedia, token: str | None) -> None:
    """The stream's start is judged before any audio is accepted: the socket closes with 1008, no call begins."""
    server = await serve_media()
    report = await call(server.twilio, two_parties(0.5), token=token)
    assert report.close_code == 1008
    assert server.taker.taken.empty()


async def test_a_token_for_something_else(serve_media: ServeMedia) -> None:
    """A token that may only read does not open a line."""
    server = await serve_media()
    reading = server.context.auth.signer.issue(tenant="acme", identity="page", scopes=[Scope.CALLS_READ], lifetime_s=60)
    report = await call(server.twilio, two_parties(0.1), token=reading.token)
    assert report.close_code == 1008
    assert server.taker.taken.empty()


async def test_the_signature_is_of_the_public_address(serve_media: ServeMedia) -> None:
    """Behind a proxy, what Twilio signed is the address it was given, not the one we listen on."""
    server = await serve_media(twilio_auth_token=SECRET, public_url="https://calls.example.org/bridge")
    public = "wss://calls.example.org/bridge/v1/media/twilio"
    for url, opens in ((public, True), (server.twilio, False)):
        headers = TwilioSide(Dialled(legs=(Leg.CALLER,), secret=SECRET)).headers(url)
        if opens:
            assert (await call(server.twilio, two_parties(0.1), headers=headers)).close_code == 1000
        else:
            with pytest.raises(CallRefusedError, match="403"):
                await call(server.twilio, two_parties(0.1), headers=headers)


# -- room -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("why", ["full", "leaving"])
async def test_no_room(serve_media: ServeMedia, why: str) -> None:
    """A call too many, and any call to a server that shuts down, gets 503 with Retry-After before the upgrade."""
    server = await serve_media(auth="off")
    server.taker.room = why != "full"
    if why == "leaving":
        server.context.leaving.set()
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(server.twilio)
    assert refused.value.status == 503
    assert refused.value.headers["Retry-After"] == ("7" if why == "full" else "5")


@pytest.mark.parametrize(
    ("refusal", "close_code"),
    [
        pytest.param(CapacityError("the last line has just gone"), 1013, id="no-room"),
        pytest.param(ConflictError("this call_id is in use"), 1008, id="call-id-in-use"),
        pytest.param(UnsupportedMediaError("nobody decodes this"), 1003, id="media"),
        pytest.param(StoreError("the disk is full"), 1011, id="store"),
        pytest.param(RuntimeError("a fault of ours"), 1011, id="our-fault"),
    ],
)
async def test_a_call_that_is_not_taken(serve_media: ServeMedia, refusal: Exception, close_code: int) -> None:
    """After the upgrade, the closing frame says what an HTTP status would have said; the next call is taken."""
    server = await serve_media(auth="off")
    server.taker.refusal = refusal
    _, [connected, start, *_] = read(WIRE / "twilio" / "both-tracks.jsonl")
    async with dialled(server) as socket:
        await say(socket, [connected, start])
        closed = await asyncio.wait_for(socket.receive(), 5)
    assert closed.data == close_code
    assert closed.extra.startswith(getattr(refusal, "code", "internal"))
    assert "a fault of ours" not in closed.extra
    server.taker.refusal = None
    assert (await call(server.twilio, two_parties(0.1))).close_code == 1000


# -- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", recordings(broken=True, dialect="twilio"), ids=name)
async def test_a_broken_conversation(serve_media: ServeMedia, file: Path) -> None:
    """The call alone ends, by code and name, and is counted; what was heard before stays; another call goes on."""
    server = await serve_media(auth="off")
    heading, messages = read(file)
    before = counted(MEDIA_ERRORS, "twilio", heading["fault"])
    async with dialled(server) as bystander:
        _, good = read(WIRE / "twilio" / "both-tracks.jsonl")
        await say(bystander, good[:5])
        async with dialled(server) as socket:
            await say(socket, messages)
            closed = await asyncio.wait_for(socket.receive(), 5)
        await say(bystander, good[5:])
    assert closed.type is aiohttp.WSMsgType.CLOSE
    assert closed.data == (1003 if heading["fault"] == "unsupported_media" else 1002)
    assert closed.extra.startswith(f"{heading['fault']}: ")
    assert counted(MEDIA_ERRORS, "twilio", heading["fault"]) == before + 1
    calls = [await server.taker.next_call() for _ in range(server.taker.taken.qsize())]
    assert calls[0].stop_reasons == ["hangup"]
    assert len(calls[0].chunks(Leg.CALLER)) == 5
    for call in calls[1:]:
        assert call.fault is not None
        assert call.fault.code == heading["fault"]
        said = sum('"media"' in message for message in messages[:-1])
        assert len(call.items) == said + sum('"stop"' in message for message in messages[:-1])


@pytest.mark.parametrize(
    ("message", "close_code"),
    [
        pytest.param("x" * (media.MAX_MESSAGE + 1), 1009, id="too-large"),
        pytest.param(b"\x81\x82\x00\x00\x00\x00\xc3\x28", 1007, id="not-utf8"),
        pytest.param(b"\x83\x80\x00\x00\x00\x00", 1002, id="no-websocket-frame"),
    ],
)
async def test_what_no_websocket_may_send(serve_media: ServeMedia, message: str | bytes, close_code: int) -> None:
    """A message over the limit, or against RFC 6455, ends the call as the carrier's fault; what was heard stays."""
    server = await serve_media(auth="off")
    before = counted(MEDIA_ERRORS, "twilio", "carrier_protocol")
    _, good = read(WIRE / "twilio" / "hang-up-without-stop.jsonl")
    async with dialled(server) as socket:
        await say(socket, good)
        if isinstance(message, bytes):
            socket.get_extra_info("socket")._sock.send(message)
        else:
            await socket.send_str(message)
        closed = await asyncio.wait_for(socket.receive(), 5)
    assert closed.data == close_code
    heard = await server.taker.next_call()
    assert heard.fault is not None
    assert heard.fault.code == "carrier_protocol"
    assert len(heard.chunks(Leg.CALLER)) == 2
    assert counted(MEDIA_ERRORS, "twilio", "carrier_protocol") == before + 1


@pytest.mark.parametrize("size", [0, 1, 65536])
async def test_frames_of_any_size(serve_media: ServeMedia, size: int) -> None:
    """No audio, one sample, eight seconds: all are frames."""
    server = await serve_media(auth="off")
    _, [connected, start, *_] = read(WIRE / "twilio" / "hang-up-without-stop.jsonl")
    payload = base64.b64encode(b"\xff" * size).decode()
    frame = json.dumps({"event": "media", "media": {"track": "inbound", "payload": payload}})
    async with dialled(server) as socket:
        await say(socket, [connected, start, frame])
    heard = await server.taker.next_call()
    assert [len(chunk.payload) for chunk in heard.chunks(Leg.CALLER)] == [size]


async def test_a_stream_that_never_starts(serve_media: ServeMedia) -> None:
    """After the start timeout the socket closes with 1008; no call has begun."""
    clock = VirtualClock()
    server = await serve_media(auth="off", clock=clock, start_timeout_s=10)
    before = counted(MEDIA_ERRORS, "twilio", "carrier_silent")
    async with dialled(server) as socket:
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
    async with dialled(server) as socket:
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
    async with dialled(server) as socket:
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
    async with dialled(server) as bystander:
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


# -- the end of the server ------------------------------------------------------------------------------------------


async def test_a_shutdown(serve_media: ServeMedia) -> None:
    """Calls in progress end as drained, sockets close with 1001, and `leave` returns when the calls have ended."""
    server = await serve_media(auth="off")
    _, messages = read(WIRE / "twilio" / "hang-up-without-stop.jsonl")
    async with dialled(server) as socket, dialled(server) as silent:
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


# -- helpers --------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def dialled(server: MediaServer) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A carrier's socket, spoken to by hand."""
    async with aiohttp.ClientSession() as session, session.ws_connect(server.twilio) as socket:
        yield socket


async def say(socket: aiohttp.ClientWebSocketResponse, messages: list[str | bytes]) -> None:
    for message in messages:
        if isinstance(message, bytes):
            await socket.send_bytes(message)
        else:
            await socket.send_str(message)


async def sleeping(clock: VirtualClock) -> None:
    """Until somebody waits for time to pass: the socket has been opened, its deadline runs."""
    while not clock.sleeping:
        await clock.settle()
