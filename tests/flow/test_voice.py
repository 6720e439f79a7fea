"""`/v1/{carrier}/voice`: who gets an answer, that it is one of the carrier's own kind, and that its stream is let in."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit
from xml.etree import ElementTree as ET

import aiohttp
import jwt
import numpy as np
import pytest
from nacl.signing import SigningKey
from plivo import plivoxml
from plivo.utils.signature_v3 import construct_post_url, get_signature_v3
from twilio.request_validator import RequestValidator
from vonage_jwt.verify_jwt import verify_signature
from vonage_voice.models.common import WebsocketAuthorization
from vonage_voice.models.connect_endpoints import WebsocketEndpoint
from vonage_voice.models.ncco import Connect, Talk

from bridge.carrier.audio import CallAudio
from bridge.carrier.place import Manner, place_call
from bridge.carrier.side import Dialled, encode_for
from bridge.clock import SystemClock
from bridge.dialects import DIALECTS
from bridge.errors import InvalidRequestError
from bridge.ingest import signalwire_signature, vonage_signature
from bridge.model.stream import Leg
from bridge.web.auth import Scope
from bridge.web.voice.asked import LONGEST_CALL_S, Asked
from bridge.web.voice.bxml import bxml
from bridge.web.voice.exotel_url import exotel_url
from bridge.web.voice.ncco import ncco
from bridge.web.voice.plivo_xml import plivo_xml
from bridge.web.voice.table import VOICES, Voice
from bridge.web.voice.twiml import texml
from tests.media_server import API_KEY, MediaServer, ServeMedia

SECRET = "0123456789abcdef" * 4
SEED = SigningKey(bytes(range(32)))
ABOUT = {"metadata.from": "+15550100", "metadata.to": "+15550199"}
STREAM = "wss://calls.example.org/v1/media"

FORM = {"From": "+15550100", "To": "+15550199", "CallSid": "c1"}
VONAGE = {"from": "+15550100", "to": "+15550199", "uuid": "c1"}
ASKED: Mapping[str, dict[str, Any]] = {
    "twilio": {"data": urlencode(FORM)},
    "signalwire": {"data": urlencode(FORM)},
    "telnyx": {"data": urlencode(FORM)},
    "plivo": {"data": urlencode({"From": "+15550100", "To": "+15550199", "CallUUID": "c1", "Event": "StartApp"})},
    "vonage": {"data": json.dumps(VONAGE)},
    "exotel": {},
    "bandwidth": {
        "data": json.dumps({"eventType": "initiate", "from": "+15550100", "to": "+15550199", "callId": "c1"})
    },
}
"""What each carrier's webhook brings."""

KNOWN = {
    "twilio": {**ABOUT, "metadata.call_sid": "c1"},
    "signalwire": {**ABOUT, "metadata.call_sid": "c1"},
    "telnyx": {**ABOUT, "metadata.call_sid": "c1"},
    "plivo": ABOUT,
    "vonage": ABOUT,
    "exotel": {},
    "bandwidth": ABOUT,
}
"""What of it reaches the call."""

EVERY_VOICE = pytest.mark.parametrize("voice", VOICES, ids=[voice.dialect for voice in VOICES])


async def ask(
    server: MediaServer, voice: Voice, query: str = "", *, headers: Mapping[str, str] | None = None, **given: Any
) -> tuple[int, str]:
    """What the carrier gets for a call."""
    asked = {**ASKED[voice.dialect], **given}
    text = str(asked.get("data", ""))
    kind = "application/json" if text.startswith("{") else "application/x-www-form-urlencoded"
    method = "POST" if "POST" in voice.methods else "GET"
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            method, f"{server.url}{voice.path}{query}", headers={"Content-Type": kind, **(headers or {})}, **asked
        ) as answer,
    ):
        if answer.status == 200:
            assert answer.content_type == voice.content_type
        return answer.status, await answer.text()


# -- who may --------------------------------------------------------------------------------------------------------


def telnyx_headers(body: str) -> dict[str, str]:
    now = str(int(time.time()))
    signature = SEED.sign(f"{now}|{body}".encode()).signature
    return {"telnyx-signature-ed25519": base64.b64encode(signature).decode(), "telnyx-timestamp": now}


def plivo_headers(url: str, body: str) -> dict[str, str]:
    base = construct_post_url(url, dict(parse_qsl(body))).decode()
    return {
        "X-Plivo-Signature-V3": get_signature_v3(SECRET.encode(), base, "12345").decode(),
        "X-Plivo-Signature-V3-Nonce": "12345",
    }


def vonage_headers(body: str) -> dict[str, str]:
    claims = {
        "iss": "Vonage",
        "iat": int(time.time()),
        "jti": "1",
        "payload_hash": hashlib.sha256(body.encode()).hexdigest(),
    }
    return {"Authorization": f"Bearer {jwt.encode(claims, SECRET)}"}


SIGNED: Mapping[str, tuple[dict[str, str], Callable[[str, str], dict[str, str]]]] = {
    "twilio": (
        {"twilio_auth_token": SECRET},
        lambda url, body: {
            "X-Twilio-Signature": RequestValidator(SECRET).compute_signature(url, dict(parse_qsl(body)))
        },
    ),
    "signalwire": (
        {"signalwire_signing_key": SECRET},
        lambda url, body: {
            "X-SignalWire-Signature": RequestValidator(SECRET).compute_signature(url, dict(parse_qsl(body)))
        },
    ),
    "telnyx": (
        {"telnyx_public_key": base64.b64encode(bytes(SEED.verify_key)).decode()},
        lambda _url, body: telnyx_headers(body),
    ),
    "plivo": ({"plivo_auth_token": SECRET}, plivo_headers),
    "vonage": ({"vonage_signature_secret": SECRET}, lambda _url, body: vonage_headers(body)),
}
"""The setting that turns a check on, and the headers that the carrier's own library makes."""

SIGNING = [voice for voice in VOICES if voice.dialect in SIGNED]
EVERY_SIGNING = pytest.mark.parametrize("voice", SIGNING, ids=[voice.dialect for voice in SIGNING])


@EVERY_SIGNING
async def test_a_signed_webhook(serve_media: ServeMedia, voice: Voice) -> None:
    """What the carrier signed is answered; another body, another signature, none and a key in its place are not."""
    settings, headers_for = SIGNED[voice.dialect]
    server = await serve_media(**settings)
    body = ASKED[voice.dialect]["data"]
    headers = headers_for(f"{server.url}{voice.path}?language=en", body)
    assert (await ask(server, voice, "?language=en", headers=headers))[0] == 200
    changed = body.replace("5550100", "5550666")
    assert (await ask(server, voice, "?language=en", headers=headers, data=changed))[0] == 403
    for wrong in ({}, dict.fromkeys(headers, "AAAA"), {"Authorization": f"Bearer {API_KEY}"}):
        assert (await ask(server, voice, headers=wrong))[0] == 403


async def test_signalwires_own_signature(serve_media: ServeMedia) -> None:
    """Beside Twilio's there is one over the raw body, in hex."""
    voice = next(voice for voice in VOICES if voice.dialect == "signalwire")
    server = await serve_media(signalwire_signing_key=SECRET)
    body = ASKED["signalwire"]["data"]
    signature = signalwire_signature.sign(SECRET, f"{server.url}{voice.path}", body.encode())
    assert (await ask(server, voice, headers={"X-SignalWire-Signature": signature}))[0] == 200
    assert (await ask(server, voice, "?a=1", headers={"X-SignalWire-Signature": signature}))[0] == 403


@EVERY_VOICE
@pytest.mark.parametrize("credential", ["bearer", "password", "token"])
async def test_a_key_where_nothing_is_signed(serve_media: ServeMedia, voice: Voice, credential: str) -> None:
    """Without a secret set, a key in either kind of header, or a token in the address."""
    server = await serve_media()
    query, headers = "", {}
    if credential == "bearer":
        headers = {"Authorization": f"Bearer {API_KEY}"}
    elif credential == "password":
        headers = {"Authorization": f"Basic {base64.b64encode(f'me:{API_KEY}'.encode()).decode()}"}
    else:
        issued = server.context.auth.signer.issue(tenant="acme", identity="number", scopes=[Scope.MEDIA], lifetime_s=60)
        query = f"?token={issued.token}"
    status, answer = await ask(server, voice, query, headers=headers)
    assert status == 200
    assert API_KEY not in answer
    assert query[7:] not in answer or not query


@EVERY_VOICE
async def test_who_gets_no_answer(serve_media: ServeMedia, voice: Voice) -> None:
    """Nobody without a key; what is no body, and what the carrier would not take, is told so."""
    server = await serve_media()
    assert (await ask(server, voice))[0] == 401
    assert (await ask(server, voice, f"?token={API_KEY}"))[0] == 401
    assert (await ask(server, voice, headers={"Authorization": "Basic wrong"}))[0] == 401
    key = {"Authorization": f"Bearer {API_KEY}"}
    assert (await ask(server, voice, "?mode=party", headers=key))[0] == 422
    assert (await ask(server, voice, "?dial=0900%3CSip%3E", headers=key))[0] == 422
    if ASKED[voice.dialect].get("data", "").startswith("{"):
        assert (await ask(server, voice, headers=key, data="{"))[0] == 422


# -- the stream that an answer starts -------------------------------------------------------------------------------


def stream_of(dialect: str, answer: str) -> tuple[str, dict[str, str], dict[str, str]]:
    """The stream's address, the parameters that the carrier will hand on, and the headers that it will send."""
    if dialect == "vonage":
        (endpoint,) = json.loads(answer)[-1]["endpoint"]
        given = endpoint["authorization"]
        return endpoint["uri"], endpoint["headers"], {"Authorization": given["value"]} if "value" in given else {}
    if dialect == "exotel":
        url = urlsplit(json.loads(answer)["url"])
        credential = f"{url.username}:{unquote(url.password or '')}".encode()
        headers = {"Authorization": f"Basic {base64.b64encode(credential).decode()}"} if url.password else {}
        return url._replace(netloc=url.netloc.rpartition("@")[2]).geturl(), {}, headers
    root = ET.fromstring(answer)  # noqa: S314 - written by the server under test
    stream = next(element for element in root.iter() if element.tag in {"Stream", "StartStream"})
    url = stream.get("url") or stream.get("destination") or stream.text or ""
    return url, {each.get("name", ""): each.get("value", "") for each in stream}, {}


@EVERY_VOICE
async def test_the_stream_is_let_in(serve_media: ServeMedia, voice: Voice) -> None:
    """What the carrier makes of the answer opens the media socket, for the tenant that asked, with all that is known."""
    server = await serve_media()
    headers = {"Authorization": f"Bearer {API_KEY}"}
    status, answer = await ask(server, voice, "?language=en&metadata.queue=sales&color=red", headers=headers)
    assert status == 200
    url, parameters, sent = stream_of(voice.dialect, answer)
    dialect = DIALECTS[voice.dialect]
    assert url.startswith(f"{server.url.replace('http', 'wss')}{dialect.path}")
    silence = np.zeros(1600, np.int16)
    side = dialect.speak(Dialled(legs=(Leg.CALLER, Leg.AGENT), parameters=parameters))
    report = await place_call(
        url.replace("wss:", "ws:"),
        encode_for(side, CallAudio({Leg.CALLER: silence, Leg.AGENT: silence}, 8000)),
        side,
        clock=SystemClock(),
        manner=Manner(speed=math.inf),
        headers=sent,
    )
    assert report.close_code == 1000
    heard = await server.taker.next_call()
    assert heard.tenant == "acme"
    wanted = {} if voice.dialect == "exotel" else {"language": "en", "metadata.queue": "sales"}
    assert heard.started.parameters == {**KNOWN[voice.dialect], **wanted}
    if voice.dialect == "vonage":
        assert heard.started.carrier_call_id == "c1"


@EVERY_VOICE
async def test_without_authentication_there_is_no_token(serve_media: ServeMedia, voice: Voice) -> None:
    """Nobody asks for one."""
    server = await serve_media(auth="off")
    status, answer = await ask(server, voice)
    assert status == 200
    assert "token" not in answer
    assert "Bearer" not in answer


# -- the documents --------------------------------------------------------------------------------------------------


def asked(dialect: str, query: dict[str, str] | None = None, **given: Any) -> Asked:
    return Asked.of(query or {}, stream_url=f"{STREAM}/{dialect}", parameters=ABOUT, **given)


def same(ours: bytes, theirs: str) -> bool:
    """Whether two documents say the same, whatever the order of attributes and the white space."""
    return ET.canonicalize(ours, strip_text=True) == ET.canonicalize(theirs, strip_text=True)


WHERE = "metadata.from=%2B15550100&metadata.to=%2B15550199"


@pytest.mark.parametrize(
    ("query", "verbs"),
    [
        pytest.param({}, ["start", plivoxml.WaitElement(length=LONGEST_CALL_S)], id="keeps-the-call-up"),
        pytest.param(
            {"dial": "15550123"}, ["start", plivoxml.DialElement().add(plivoxml.NumberElement("15550123"))], id="dial"
        ),
        pytest.param(
            {"say": "One & two", "dial": "15550123"},
            [
                "start",
                plivoxml.SpeakElement("One & two"),
                plivoxml.DialElement().add(plivoxml.NumberElement("15550123")),
            ],
            id="say-and-dial",
        ),
        pytest.param({"mode": "connect", "say": "Hello"}, [plivoxml.SpeakElement("Hello"), "connect"], id="connect"),
    ],
)
def test_the_xml_is_plivos(query: dict[str, str], verbs: list[Any]) -> None:
    """Plivo's own library writes the same document."""
    how = {
        "start": {"bidirectional": False, "audioTrack": "both"},
        "connect": {"bidirectional": True, "keepCallAlive": True, "audioTrack": "inbound"},
    }
    streams = {
        name: plivoxml.StreamElement(
            f"{STREAM}/plivo?{WHERE}",
            contentType="audio/x-mulaw;rate=8000",
            streamTimeout=LONGEST_CALL_S,
            **attributes,
        )
        for name, attributes in how.items()
    }
    theirs = plivoxml.ResponseElement()
    for verb in verbs:
        theirs.add(streams[verb] if isinstance(verb, str) else verb)
    assert same(plivo_xml(asked("plivo", query)), theirs.to_string())


@pytest.mark.parametrize(
    ("query", "document"),
    [
        pytest.param(
            {},
            f'<Response><Start><Stream url="{STREAM}/telnyx?{WHERE}" track="both_tracks"/></Start><Pause length="14400"/></Response>',
            id="keeps-the-call-up",
        ),
        pytest.param(
            {"say": "Hi", "dial": "+15550123"},
            f'<Response><Start><Stream url="{STREAM}/telnyx?{WHERE}" track="both_tracks"/></Start><Say>Hi</Say><Dial>+15550123</Dial></Response>',
            id="say-and-dial",
        ),
        pytest.param(
            {"mode": "connect"},
            f'<Response><Connect><Stream url="{STREAM}/telnyx?{WHERE}&track=inbound_track"/></Connect></Response>',
            id="connect",
        ),
    ],
)
def test_the_texml(query: dict[str, str], document: str) -> None:
    """TwiML without `<Parameter>`: what the stream brings along stands in its address."""
    assert same(texml(asked("telnyx", query)), document.replace("&", "&amp;"))


PARAMS = '<StreamParam name="metadata.from" value="+15550100"/><StreamParam name="metadata.to" value="+15550199"/>'


@pytest.mark.parametrize(
    ("query", "document"),
    [
        pytest.param(
            {},
            f'<Response><StartStream destination="{STREAM}/bandwidth" mode="unidirectional" tracks="both">{PARAMS}</StartStream><Pause duration="14400"/></Response>',
            id="keeps-the-call-up",
        ),
        pytest.param(
            {"say": "Hi", "dial": "+15550123"},
            f'<Response><StartStream destination="{STREAM}/bandwidth" mode="unidirectional" tracks="both">{PARAMS}</StartStream><SpeakSentence>Hi</SpeakSentence><Transfer><PhoneNumber>+15550123</PhoneNumber></Transfer></Response>',
            id="say-and-dial",
        ),
        pytest.param(
            {"mode": "connect"},
            f'<Response><StartStream destination="{STREAM}/bandwidth" mode="bidirectional" tracks="inbound">{PARAMS}</StartStream><Pause duration="14400"/></Response>',
            id="connect",
        ),
    ],
)
def test_the_bxml(query: dict[str, str], document: str) -> None:
    """A stream never holds a Bandwidth call, so that something always follows it."""
    assert same(bxml(asked("bandwidth", query)), document)


@pytest.mark.parametrize("token", [None, "a.b.c"], ids=["vonages-own-jwt", "our-token"])
def test_the_ncco_is_vonages(token: str | None) -> None:
    """Vonage's own models write the same objects."""
    authorization = {"type": "vonage"} if token is None else {"type": "custom", "value": f"Bearer {token}"}
    endpoint = WebsocketEndpoint(
        uri=f"{STREAM}/vonage",
        contentType="audio/l16;rate=16000",
        headers=ABOUT,
        authorization=WebsocketAuthorization(**authorization),
    )
    theirs = [Talk(text="Grüß Gott"), Connect(endpoint=[endpoint], from_="15550199")]
    ours = json.loads(ncco(asked("vonage", {"say": "Grüß Gott"}, token=token)))
    assert ours == [action.model_dump(by_alias=True, exclude_none=True, mode="json") for action in theirs]


def test_vonages_library_takes_our_jwt() -> None:
    """What `callbridge play` signs with passes for Vonage's own."""
    token = vonage_signature.bearer(SECRET, now=time.time(), jti="1").removeprefix("Bearer ")
    assert verify_signature(token, SECRET)
    assert not verify_signature(token, SECRET[::-1])


@pytest.mark.parametrize(
    ("answer", "query", "more"),
    [
        pytest.param(ncco, {"dial": "+15550123"}, {}, id="vonage-dial"),
        pytest.param(ncco, {}, {"metadata.note": "x" * 500}, id="vonage-headers-too-long"),
        pytest.param(exotel_url, {"dial": "+15550123"}, {}, id="exotel-dial"),
        pytest.param(exotel_url, {"say": "Hi"}, {}, id="exotel-say"),
        pytest.param(bxml, {}, {f"metadata.{n}": "x" for n in range(13)}, id="bandwidth-too-many"),
    ],
)
def test_what_a_carrier_would_not_take(answer: Any, query: dict[str, str], more: dict[str, str]) -> None:
    """It is refused by the parameter's name, before the carrier sees it."""
    with pytest.raises(InvalidRequestError) as refused:
        answer(Asked.of(query, stream_url=STREAM, parameters=more))
    assert refused.value.details["fields"]
