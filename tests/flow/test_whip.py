"""WebRTC publishers over real sockets: every codec, every way to end, and what the RFC says of requests."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import numpy as np
import pytest
from aioice import ice
from aiortc import RTCSessionDescription

from bridge.audio.leg import LegAudio
from bridge.errors import CapacityError, ConflictError
from bridge.model.frame import SAMPLE_RATE, AudioFrame, Gap
from bridge.model.stream import Discarded, Leg, MediaChunk, MediaFormat
from bridge.web import whip
from bridge.web.auth import Scope
from bridge.web.whip_session import LATE_S
from tests.calling import counted
from tests.clock import VirtualClock
from tests.media_server import API_KEY, MediaServer, ServeMedia, TakenCall
from tests.whip_client import PATIENCE_S, Publisher, Recording, publisher


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sides meet on 127.0.0.1, whatever networks this machine has."""
    monkeypatch.setattr(ice, "get_host_addresses", lambda **_: ["127.0.0.1"])


@pytest.fixture
async def server(serve_media: ServeMedia) -> MediaServer:
    return await serve_media()


@pytest.fixture
async def one(server: MediaServer) -> AsyncIterator[Publisher]:
    """A publisher with the key of tenant `acme`."""
    async with publisher(f"{server.url}/v1/whip", token=API_KEY) as made:
        yield made


def tone(hertz: float, seconds: float = 1.0) -> np.ndarray:
    at = np.arange(int(48_000 * seconds)) / 48_000
    return (8_000 * np.sin(2 * np.pi * hertz * at)).astype(np.int16)


def heard(call: TakenCall, leg: Leg, media_format: MediaFormat) -> tuple[np.ndarray, list[Gap]]:
    """A leg as the call hears it."""
    ear = LegAudio(leg, media_format)
    said = [item for item in call.items if isinstance(item, MediaChunk | Discarded) and item.leg == leg]
    values = [value for item in said for value in ear.push(item)] + ear.flush()
    frames = [value.samples for value in values if isinstance(value, AudioFrame)]
    return np.concatenate(frames), [value for value in values if isinstance(value, Gap)]


def pitch(samples: np.ndarray) -> float:
    """Of the loudest tone, in Hz."""
    return float(np.abs(np.fft.rfft(samples)).argmax() * SAMPLE_RATE / len(samples))


async def on_air(server: MediaServer, one: Publisher, *, query: str = "", codec: str | None = None) -> TakenCall:
    """A call with a tone in it, of which some has been heard."""
    one.send(Recording(tone(440)), codec)
    await one.publish(query=query)
    call = await server.taker.next_call(ended=False)
    await call.heard(5)
    return call


async def ended(call: TakenCall) -> list[str]:
    """Why it ended, once it has."""
    await asyncio.wait_for(call.ended.wait(), PATIENCE_S)
    return call.stop_reasons


@pytest.mark.parametrize("codec", ["opus", "G722", "PCMU", "PCMA"])
async def test_every_codec(server: MediaServer, one: Publisher, codec: str) -> None:
    """What one publishes is heard whole, in place and in tune, and nothing is said to be missing."""
    one.send(Recording(tone(440, seconds=1.1)), codec)
    await one.publish(query="?call_id=c1&metadata.queue=sales&language=en&turns=bot&eot_threshold=0.7")
    call = await server.taker.next_call(ended=False)
    await call.heard(50)
    assert (await one.ask("DELETE")).status == 200
    assert await ended(call) == ["hangup"]
    assert (call.started.carrier, call.started.legs, call.tenant) == ("webrtc", (Leg.CALLER,), "acme")
    assert call.started.media_format.encoding == codec.upper()
    assert call.started.parameters == {
        "call_id": "c1",
        "metadata.queue": "sales",
        "language": "en",
        "turns": "bot",
        "eot_threshold": "0.7",
    }
    samples, gaps = heard(call, Leg.CALLER, call.started.media_format)
    assert not gaps
    assert len(samples) == len(call.chunks(Leg.CALLER)) * SAMPLE_RATE // 50 >= SAMPLE_RATE
    assert pitch(samples) == pytest.approx(440, abs=2)
    await asyncio.wait_for(one.closed.wait(), PATIENCE_S)


async def test_two_parties_in_stereo(server: MediaServer, one: Publisher) -> None:
    """With `channels=stereo`, left is the caller and right the agent, and the answer asks for both."""
    one.send(Recording(np.stack([tone(300), tone(2000)], axis=1)), "opus")
    answer = await one.publish(query="?channels=stereo")
    assert "stereo=1" in await answer.text()
    call = await server.taker.next_call(ended=False)
    await call.heard(100)
    assert call.started.legs == (Leg.CALLER, Leg.AGENT)
    for leg, hertz in ((Leg.CALLER, 300), (Leg.AGENT, 2000)):
        samples, gaps = heard(call, leg, call.started.media_format)
        assert not gaps
        assert pitch(samples) == pytest.approx(hertz, abs=2)


async def test_all_parties_in_one_track(server: MediaServer, one: Publisher) -> None:
    """With `channels=mixed`, stereo or not, the one leg is `mixed`."""
    one.send(Recording(np.stack([tone(300), tone(300)], axis=1)), "opus")
    await one.publish(query="?channels=mixed")
    call = await server.taker.next_call(ended=False)
    await call.heard(50)
    assert call.started.legs == (Leg.MIXED,)
    assert pitch(heard(call, Leg.MIXED, call.started.media_format)[0]) == pytest.approx(300, abs=2)


# -- ends -----------------------------------------------------------------------------------------------------------


async def test_a_publisher_that_closes_first(server: MediaServer, one: Publisher) -> None:
    """As OBS does: the connection's end is the hang-up, and a DELETE after it is still answered with 200."""
    call = await on_air(server, one)
    await one.peer.close()
    assert await ended(call) == ["hangup"]
    assert (await one.ask("DELETE")).status == 200


async def test_a_session_is_forgotten(serve_media: ServeMedia, clock: VirtualClock) -> None:
    """A minute after its end there is nothing to delete any more."""
    server = await serve_media(clock=clock)
    async with publisher(f"{server.url}/v1/whip", token=API_KEY) as one:
        call = await on_air(server, one)
        await one.ask("DELETE")
        await clock.advance(LATE_S)
        await ended(call)
        await clock.advance(59)
        assert (await one.ask("DELETE")).status == 200
        await clock.advance(1)
        assert (await one.ask("DELETE")).status == 404


async def test_a_publisher_that_vanishes(server: MediaServer, one: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    """Power lost: once its consent is void (RFC 7675), the call is over."""
    monkeypatch.setattr(ice, "CONSENT_INTERVAL", 0.1)
    monkeypatch.setattr(ice, "CONSENT_FAILURES", 1)
    call = await on_air(server, one)
    for transport in {each.receiver.transport for each in one.peer.getTransceivers()}:
        for protocol in transport.transport._connection._protocols:
            protocol.transport.abort()
    assert await ended(call) == ["closed"]


async def test_a_publisher_that_goes_quiet(serve_media: ServeMedia, clock: VirtualClock) -> None:
    """A connection that lives, and no audio on it for `idle_timeout_s`, is idle."""
    server = await serve_media(clock=clock)
    async with publisher(f"{server.url}/v1/whip", token=API_KEY) as one:
        call = await on_air(server, one)
        await call.heard(50)
        await clock.advance(server.context.settings.start_timeout_s)
        await clock.advance(server.context.settings.idle_timeout_s)
        assert await ended(call) == ["idle"]


async def test_a_publisher_that_never_comes(serve_media: ServeMedia, clock: VirtualClock) -> None:
    """An offer that no audio follows is a call that failed, told by its code."""
    server = await serve_media(clock=clock)
    async with publisher(f"{server.url}/v1/whip", token=API_KEY) as one:
        one.send(Recording(tone(440)))
        assert (await one.post(await one.offer())).status == 201
        call = await server.taker.next_call(ended=False)
        await clock.advance(server.context.settings.start_timeout_s)
        assert await ended(call) == []
        assert call.fault is not None
        assert call.fault.code == "carrier_silent"


async def test_somebody_else(server: MediaServer, one: Publisher) -> None:
    """A peer whose certificate is not the one of its offer is not heard."""
    one.send(Recording(tone(440)))
    offer = re.sub(r"a=fingerprint:(\S+) ..", r"a=fingerprint:\1 00", await one.offer())
    answer = await one.post(offer)
    await one.peer.setRemoteDescription(RTCSessionDescription(await answer.text(), "answer"))
    call = await server.taker.next_call(ended=False)
    assert await ended(call) == []
    assert call.fault is not None
    assert call.fault.code == "carrier_protocol"


async def test_a_server_that_leaves(server: MediaServer, one: Publisher) -> None:
    """Shutting down ends calls as `drained`, and their publishers are told; new ones are sent elsewhere."""
    call = await on_air(server, one)
    server.context.leaving.set()
    refused = await one.post(await one.offer())
    assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
    await whip.leave(server.app)
    assert call.stop_reasons == ["drained"]
    await asyncio.wait_for(one.closed.wait(), PATIENCE_S)


# -- requests -------------------------------------------------------------------------------------------------------

FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}


def without_candidates(offer: str) -> tuple[str, str]:
    """An offer as a trickling publisher sends it, and the fragment that follows (RFC 8840 §9)."""
    lines = offer.splitlines(keepends=True)
    late = [line for line in lines if line.startswith(("a=candidate", "a=end-of-candidates"))]
    credentials = [line for line in lines if line.startswith(("a=ice-ufrag", "a=ice-pwd"))]
    fragment = [*credentials, "m=audio 9 RTP/AVP 0\r\n", "a=mid:0\r\n", *late]
    return "".join(line for line in lines if line not in late), "".join(fragment)


async def test_trickle(server: MediaServer, one: Publisher) -> None:
    """Candidates that come after the offer are taken, and audio flows."""
    one.send(Recording(tone(440)))
    offer, fragment = without_candidates(await one.offer())
    answer = await one.post(offer)
    one.location, one.etag = f"{server.url}{answer.headers['Location']}", answer.headers["ETag"]
    await one.peer.setRemoteDescription(RTCSessionDescription(await answer.text(), "answer"))
    trickled = await one.ask("PATCH", data=fragment, headers={**FRAGMENT, "If-Match": one.etag})
    assert (trickled.status, trickled.headers.get("ETag"), await trickled.text()) == (204, None, "")
    await (await server.taker.next_call(ended=False)).heard(5)


@pytest.mark.parametrize(
    ("headers", "fragment", "answered"),
    [
        pytest.param({}, None, (428, "precondition_required"), id="no-if-match"),
        pytest.param({"If-Match": '"another"'}, None, (412, "precondition_failed"), id="another-ice-session"),
        pytest.param(
            {"Content-Type": "application/json", "If-Match": "*"}, None, (415, "unsupported_media_type"), id="json"
        ),
        pytest.param({"If-Match": "*"}, "hello", (400, "carrier_protocol"), id="no-fragment"),
        pytest.param({"If-Match": "*"}, "a=ice-ufrag:abcd\r\n", (400, "carrier_protocol"), id="no-section"),
        pytest.param(
            {"If-Match": "*"},
            "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n",
            (422, "invalid_request"),
            id="restart",
        ),
        pytest.param({"If-Match": "*"}, b"\xff", (400, "carrier_protocol"), id="not-utf-8"),
        pytest.param({"If-Match": "*"}, None, (204, None), id="any"),
        pytest.param(
            {"If-Match": "*"},
            "m=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 tcp 1 127.0.0.1 9 typ host tcptype active\r\n"
            "a=candidate:2 1 udp 1 5d8a1d3e.local 9 typ host\r\na=candidate:3 1 udp 1 nonsense 9 typ host\r\n",
            (204, None),
            id="candidates-nobody-can-use",
        ),
    ],
)
async def test_a_patch(
    server: MediaServer,
    one: Publisher,
    headers: dict[str, str],
    fragment: str | bytes | None,
    answered: tuple[int, str | None],
) -> None:
    """As RFC 9725 §4.3 says; whatever it is, the call goes on."""
    call = await on_air(server, one)
    fragment = fragment or without_candidates(one.peer.localDescription.sdp)[1]
    answer = await one.ask("PATCH", data=fragment, headers={**FRAGMENT, **headers})
    code = (await answer.json())["error"]["code"] if await answer.text() else None
    assert (answer.status, code) == answered
    await call.heard(50)
    assert not call.ended.is_set()


async def test_sessions_of_others(server: MediaServer, one: Publisher) -> None:
    """What is another tenant's, or nobody's, is not there; without a credential nothing is told at all."""
    await on_air(server, one)
    theirs = server.context.auth.signer.issue(tenant="rival", identity="r", scopes=[Scope.MEDIA], lifetime_s=60)
    rival = {"Authorization": f"Bearer {theirs.token}"}
    assert (await one.ask("DELETE", headers=rival)).status == 404
    assert (await one.ask("PATCH", data="m=", headers={**rival, **FRAGMENT})).status == 404
    assert (await one.ask("DELETE", headers={"Authorization": "Bearer nobody"})).status == 401
    one.location += "x"
    assert (await one.ask("DELETE")).status == 404


@pytest.mark.parametrize("path", ["", "/some-session"])
async def test_a_preflight(server: MediaServer, one: Publisher, path: str) -> None:
    """Any site's page may ask, without a credential, and is told what it may send."""
    one.location = f"{one.endpoint}{path}"
    asked = {"Origin": "https://app.example.org", "Access-Control-Request-Method": "POST", "Authorization": ""}
    answer = await one.ask("OPTIONS", headers=asked)
    assert answer.status == 200
    assert answer.headers["Accept-Post"] == "application/sdp"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert {"POST", "PATCH", "DELETE"} <= set(answer.headers["Access-Control-Allow-Methods"].split(", "))
    allowed = set(answer.headers["Access-Control-Allow-Headers"].split(", "))
    assert allowed == {"Authorization", "Content-Type", "If-Match"}


async def test_every_answer_can_be_read_elsewhere(server: MediaServer, one: Publisher) -> None:
    """A page of another site sees the session's address, and why it was refused."""
    one.send(Recording(tone(440)))
    answer = await one.publish()
    refused = await one.post("hello")
    for each in (answer, refused):
        assert each.headers["Access-Control-Allow-Origin"] == "*"
        assert {"ETag", "Link", "Location"} <= set(each.headers["Access-Control-Expose-Headers"].split(", "))
    assert answer.headers["Content-Type"] == "application/sdp"
    assert re.fullmatch(r"/v1/whip/[\w-]+", answer.headers["Location"])
    assert re.fullmatch(r'"[\w-]+"', answer.headers["ETag"])


async def test_ice_servers(serve_media: ServeMedia) -> None:
    """They are told to who may publish, and to nobody else (RFC 9725 §4.6)."""
    links = ['<stun:stun.invalid>; rel="ice-server"']
    server = await serve_media(ice_servers="stun:stun.invalid")
    async with publisher(f"{server.url}/v1/whip", token=API_KEY) as one:
        one.location = one.endpoint
        assert (await one.ask("OPTIONS")).headers.getall("Link") == links
        for stranger in ("", "Bearer nobody"):
            assert "Link" not in (await one.ask("OPTIONS", headers={"Authorization": stranger})).headers


@pytest.mark.parametrize(
    ("credential", "status"),
    [
        pytest.param("", 401, id="nothing"),
        pytest.param("Bearer nobody", 401, id="unknown"),
        pytest.param(Scope.CALLS_READ, 403, id="another-scope"),
        pytest.param(Scope.MEDIA, 201, id="token"),
    ],
)
async def test_who_may_publish(server: MediaServer, one: Publisher, credential: str | Scope, status: int) -> None:
    """An API key, or a token for media."""
    if isinstance(credential, Scope):
        signer = server.context.auth.signer
        made = signer.issue(tenant="acme", identity="phone", scopes=[credential], lifetime_s=60)
        credential = f"Bearer {made.token}"
    one.send(Recording(tone(440)))
    answer = await one.post(await one.offer(), headers={"Authorization": credential})
    assert answer.status == status
    assert ("WWW-Authenticate" in answer.headers) is (status == 401)


async def test_no_room(server: MediaServer, one: Publisher) -> None:
    """A full server says when to come again, before it opens a port."""
    server.taker.room = False
    one.send(Recording(tone(440)))
    before = counted(whip.CALLS_REFUSED, "webrtc", "at_capacity")
    answer = await one.post(await one.offer())
    assert (answer.status, answer.headers["Retry-After"]) == (503, "7")
    assert counted(whip.CALLS_REFUSED, "webrtc", "at_capacity") == before + 1


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        pytest.param(CapacityError("just taken", retry_after=3), 503, id="capacity"),
        pytest.param(ConflictError("in progress"), 409, id="call-id"),
    ],
)
async def test_a_call_that_is_not_taken(
    server: MediaServer, one: Publisher, refusal: CapacityError | ConflictError, status: int
) -> None:
    """What the calls refuse an offer with is the answer to it, not a session that ends at once."""
    server.taker.refusal = refusal
    one.send(Recording(tone(440)))
    assert (await one.post(await one.offer())).status == status


@pytest.mark.parametrize(
    ("change", "status", "told"),
    [
        pytest.param((r"v=0", "x=0"), 400, "no session description", id="no-sdp"),
        pytest.param((r"m=audio \d+", "m=audio nine"), 400, "cannot be read", id="broken-line"),
        pytest.param((r"a=sendonly", "a=recvonly"), 400, "recvonly", id="nothing-sent"),
        pytest.param((r"a=rtcp-mux\r\n", ""), 400, "rtcp-mux", id="two-ports"),
        pytest.param((r"a=ice-ufrag:\S+\r\n", ""), 400, "credentials", id="no-ice"),
        pytest.param((r"a=fingerprint:.*\r\n", ""), 400, "fingerprint", id="no-fingerprint"),
        pytest.param((r"(?s)m=audio.*", ""), 400, "0 audio tracks", id="no-audio"),
        pytest.param((r"(?s)(m=audio.*)", r"\1\1"), 400, "2 audio tracks", id="two-tracks"),
        pytest.param((r"(PCMU|PCMA|G722|opus)/", "speex/"), 400, "is decoded here", id="no-codec"),
    ],
)
async def test_an_offer_that_is_refused(
    server: MediaServer, one: Publisher, change: tuple[str, str], status: int, told: str
) -> None:
    """Nothing is half taken: the answer says what is wrong, and no call begins."""
    one.send(Recording(tone(440)))
    answer = await one.post(re.sub(*change, await one.offer()))
    assert answer.status == status
    assert told in (await answer.json())["error"]["message"]
    assert server.taker.taken.empty()


async def test_what_a_post_must_be(server: MediaServer, one: Publisher) -> None:
    """Its type, its size, its channels; and no other method is answered."""
    one.send(Recording(tone(440)))
    offer = await one.offer()
    assert (await one.post(offer, headers={"Content-Type": "application/json"})).status == 415
    assert (await one.post(offer + "a=x\r\n" * 100_000)).status == 413
    assert (await one.post(offer, query="?channels=five")).status == 422
    refused = await one.post(offer.replace("opus/48000/2", "speex/8000"), query="?channels=stereo")
    assert "in stereo; opus is" in (await refused.json())["error"]["message"]
    one.location = one.endpoint
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        assert (await one.ask(method)).status == 405
    one.location = f"{one.endpoint}/some-session"
    for method in ("GET", "PUT", "POST"):
        assert (await one.ask(method)).status == 405


async def test_video_is_declined(server: MediaServer, one: Publisher) -> None:
    """OBS always offers it: the audio is taken, the video's port is 0, and its section keeps its place."""
    one.peer.addTransceiver("video", direction="sendonly")
    one.send(Recording(tone(440)), "opus")
    answer = await one.post(await one.offer())
    assert re.findall(r"^(?:m=\w+ \d+|a=group.*|a=mid.*)", await answer.text(), re.MULTILINE) == [
        "a=group:BUNDLE 1\r",
        "m=video 0",
        "a=mid:0\r",
        "m=audio 9",
        "a=mid:1\r",
    ]
    assert (await server.taker.next_call(ended=False)).started.legs == (Leg.CALLER,)
