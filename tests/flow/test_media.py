"""Media sockets: a carrier calls over a real WebSocket, and its words reach the call whole, or it is told why not."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import aiohttp
import pytest

from bridge.carrier.faults import Faults
from bridge.carrier.place import Manner
from bridge.carrier.side import Dialled, Key
from bridge.carrier.twilio import TwilioSide
from bridge.errors import CallRefusedError, CapacityError, ConflictError, StoreError, UnsupportedMediaError
from bridge.metrics import CALLS_REFUSED, MEDIA_MESSAGES
from bridge.model.stream import DtmfDigit, Leg, StreamStopped
from bridge.web import media
from bridge.web.auth import Scope
from tests.calling import call, counted, dialled, say, two_parties
from tests.clock import LeapingClock
from tests.media_server import API_KEY, ServeMedia
from tests.wire import WIRE, read

SECRET = "0123456789abcdef0123456789abcdef"

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
    clock = LeapingClock()
    began = clock.now()
    report = await call(server.twilio, two_parties(2), manner=Manner(speed=5, delay_s=0.1), clock=clock)
    assert report.sent_at(0) - began == pytest.approx(0.1 + 0.02 / 5, abs=1e-5)  # once its 20 ms have been said
    assert report.sent_at(1999) - report.sent_at(0) == pytest.approx(99 * 0.02 / 5, abs=1e-5)
    assert report.sent_at(100) == report.sent_at(119) < report.sent_at(120)
    assert math.isnan(report.sent_at(2000))
    assert math.isnan(report.sent_at(-1))


@pytest.mark.parametrize("word", ["closing-frame", "nothing"])
async def test_a_hang_up_without_stop(serve_media: ServeMedia, word: str) -> None:
    """The socket just ends: what came before is heard, the call has closed, and may go on if no frame closed it."""
    server = await serve_media(auth="off")
    if word == "nothing":
        await call(server.twilio, two_parties(1), manner=Manner(speed=20, faults=Faults(hang_up_at_ms=510)))
        expected = 25
    else:
        _, messages = read(WIRE / "twilio" / "hang-up-without-stop.jsonl")
        async with dialled(server.twilio) as socket:
            await say(socket, messages)
        expected = 2
    heard = await server.taker.next_call()
    assert heard.stop_reasons == ["closed"]
    assert [item.broken for item in heard.items if isinstance(item, StreamStopped)] == [word == "nothing"]
    assert len(heard.chunks(Leg.CALLER)) == expected
    assert heard.fault is None


@pytest.mark.parametrize("dialect", ["freeswitch", "jambonz"])
@pytest.mark.parametrize(
    ("offered", "answered"),
    [
        pytest.param(["audio.drachtio.org"], "audio.drachtio.org", id="drachtio"),
        pytest.param(["audio.jambonz.org"], "audio.jambonz.org", id="jambonz"),
        pytest.param(["of-their-own"], None, id="unknown"),
        pytest.param([], None, id="none"),
    ],
)
async def test_subprotocols(serve_media: ServeMedia, dialect: str, offered: list[str], answered: str | None) -> None:
    """The one that is offered is answered; none is required."""
    server = await serve_media(auth="off")
    address = f"{server.url.replace('http', 'ws')}/v1/media/{dialect}"
    async with dialled(address, protocols=offered) as socket:
        assert socket.protocol == answered


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


async def test_too_many_that_only_wait(serve_media: ServeMedia, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets without a stream are few; one that starts makes room for the next."""
    monkeypatch.setattr(media, "MOST_WAITING", 2)
    server = await serve_media(auth="off")
    _, [connected, start, *_] = read(WIRE / "twilio" / "both-tracks.jsonl")
    async with dialled(server.twilio) as first, dialled(server.twilio):
        with pytest.raises(CallRefusedError, match="503"):
            await call(server.twilio, two_parties(0.1))
        await say(first, [connected, start])
        await server.taker.next_call(ended=False)
        assert (await call(server.twilio, two_parties(0.1))).close_code == 1000


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
    async with dialled(server.twilio) as socket:
        await say(socket, [connected, start])
        closed = await asyncio.wait_for(socket.receive(), 5)
    assert closed.data == close_code
    assert closed.extra.startswith(getattr(refusal, "code", "internal"))
    assert "a fault of ours" not in closed.extra
    server.taker.refusal = None
    assert (await call(server.twilio, two_parties(0.1))).close_code == 1000
