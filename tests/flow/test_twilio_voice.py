"""`POST /v1/twilio/voice`: who gets TwiML, what it says, and that a stream started by it is let in."""

from __future__ import annotations

import hashlib
import math
from typing import Any
from xml.etree import ElementTree as ET

import aiohttp
import numpy as np
import pytest
from twilio.request_validator import RequestValidator
from twilio.twiml.voice_response import Connect, Dial, Say, Start, VoiceResponse

from bridge.carrier.audio import CallAudio, encode
from bridge.carrier.place import Manner, place_call
from bridge.carrier.side import Dialled
from bridge.carrier.twilio import TwilioSide
from bridge.clock import SystemClock
from bridge.model.stream import Leg
from bridge.web.auth import Scope
from bridge.web.voice.asked import LONGEST_CALL_S, Asked
from bridge.web.voice.twiml import twiml
from tests.media_server import API_KEY, MediaServer, ServeMedia

SECRET = "0123456789abcdef0123456789abcdef"
PUBLIC = "https://calls.example.org"
STREAM = "wss://calls.example.org/v1/media/twilio"
CALL = {"From": "+15550100", "To": "+15550199", "CallSid": "CA1", "CallStatus": "ringing", "Direction": "inbound"}
ABOUT = {"metadata.from": "+15550100", "metadata.to": "+15550199", "metadata.call_sid": "CA1"}


async def ask(server: MediaServer, query: str = "", *, form: Any = None, headers: Any = None) -> tuple[int, str]:
    """What Twilio gets for a call."""
    url = f"{server.url}/v1/twilio/voice{query}"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=CALL if form is None else form, headers=headers) as answer,
    ):
        if answer.status == 200:
            assert answer.content_type == "text/xml"
        return answer.status, await answer.text()


def parsed(document: str) -> ET.Element:
    return ET.fromstring(document)  # noqa: S314 - written by the server under test


def same(ours: str | bytes, theirs: VoiceResponse) -> bool:
    """Whether two documents say the same, whatever the order of attributes and the white space."""
    return ET.canonicalize(ours, strip_text=True) == ET.canonicalize(str(theirs), strip_text=True)


def streaming(verb: Any, parameters: dict[str, str], **attributes: str) -> Any:
    stream = verb.stream(url=STREAM, **attributes)
    for name, value in parameters.items():
        stream.parameter(name=name, value=value)
    return verb


@pytest.mark.parametrize(
    ("wanted", "verbs"),
    [
        pytest.param({}, ["start", "pause"], id="keeps-the-call-up"),
        pytest.param({"dial": "+15550123"}, ["start", Dial("+15550123")], id="dial"),
        pytest.param({"say": "One <moment> & please"}, ["start", Say("One <moment> & please"), "pause"], id="say"),
        pytest.param({"say": "Hello", "dial": "5550123"}, ["start", Say("Hello"), Dial("5550123")], id="say-and-dial"),
        pytest.param({"mode": "connect"}, ["connect"], id="connect"),
        pytest.param({"mode": "connect", "say": "Hello"}, [Say("Hello"), "connect"], id="say-and-connect"),
    ],
)
def test_the_twiml_is_twilios(wanted: dict[str, str], verbs: list[Any]) -> None:
    """Twilio's own library writes the same document."""
    theirs = VoiceResponse()
    for verb in verbs:
        if verb == "start":
            theirs.append(streaming(Start(), ABOUT, track="both_tracks"))
        elif verb == "connect":
            theirs.append(streaming(Connect(), ABOUT))
        elif verb == "pause":
            theirs.pause(length=LONGEST_CALL_S)
        else:
            theirs.append(verb)
    assert same(twiml(Asked.of(wanted, stream_url=STREAM, parameters=ABOUT)), theirs)


async def test_a_signed_webhook_starts_a_stream(serve_media: ServeMedia) -> None:
    """With the signature right the answer names the public address, and brings what the webhook knows and a token."""
    server = await serve_media(twilio_auth_token=SECRET, public_url=PUBLIC)
    query = "?language=en&metadata.queue=sales&dial=%2B15550123"
    signature = RequestValidator(SECRET).compute_signature(f"{PUBLIC}/v1/twilio/voice{query}", CALL)
    status, document = await ask(server, query, headers={"X-Twilio-Signature": signature})
    assert status == 200
    stream = parsed(document).find("Start/Stream")
    assert stream is not None
    assert (stream.get("url"), stream.get("track")) == (STREAM, "both_tracks")
    sent = {parameter.get("name"): parameter.get("value") for parameter in stream}
    token = sent.pop("token")
    assert sent == {"language": "en", "metadata.queue": "sales", **ABOUT}
    assert len(token) + len("token") < 500
    principal = await server.context.auth.identify(token)
    assert principal is not None
    assert principal.tenant == "default"


async def test_the_stream_is_let_in(serve_media: ServeMedia) -> None:
    """The parameters that Twilio copies from the answer open the media socket, for the tenant that asked."""
    server = await serve_media()
    status, document = await ask(server, headers={"Authorization": f"Bearer {API_KEY}"})
    assert status == 200
    parameters = {p.get("name"): p.get("value") for p in parsed(document).iter("Parameter")}
    audio = encode(CallAudio({Leg.CALLER: np.zeros(1600, np.int16)}, 8000), TwilioSide.media_format)
    side = TwilioSide(Dialled(legs=audio.legs, parameters=parameters))
    report = await place_call(server.twilio, audio, side, clock=SystemClock(), manner=Manner(speed=math.inf))
    heard = await server.taker.next_call()
    assert report.close_code == 1000
    assert heard.tenant == "acme"
    assert heard.started.parameters == ABOUT


@pytest.mark.parametrize(
    ("settings", "headers", "query", "status"),
    [
        pytest.param({"twilio_auth_token": SECRET}, {}, "", 403, id="signature-missing"),
        pytest.param({"twilio_auth_token": SECRET}, {"X-Twilio-Signature": "AAAA"}, "", 403, id="signature-wrong"),
        pytest.param(
            {"twilio_auth_token": SECRET}, {"Authorization": f"Bearer {API_KEY}"}, "", 403, id="key-for-signature"
        ),
        pytest.param({}, {}, "", 401, id="nothing"),
        pytest.param({}, {}, f"?token={API_KEY}", 401, id="key-in-the-address"),
        pytest.param({}, {"Authorization": "Bearer wrong"}, "", 401, id="key-wrong"),
        pytest.param({"auth": "off"}, {}, "?mode=party", 422, id="mode"),
        pytest.param({"auth": "off"}, {}, "?dial=0900%3CSip%3E", 422, id="dial"),
        pytest.param({"auth": "off"}, {}, "?dial=%2B15550123&mode=connect", 422, id="dial-in-connect"),
        pytest.param({"auth": "off"}, {}, f"?metadata.note={'x' * 490}", 422, id="parameter-too-long"),
    ],
)
async def test_what_gets_no_twiml(
    serve_media: ServeMedia, settings: dict[str, Any], headers: dict[str, str], query: str, status: int
) -> None:
    """Who may not, and what Twilio would not take, is told so."""
    server = await serve_media(**settings)
    assert (await ask(server, query, headers=headers))[0] == status


async def test_a_changed_form_is_not_signed(serve_media: ServeMedia) -> None:
    """The signature covers the form: another caller's number does not pass."""
    server = await serve_media(twilio_auth_token=SECRET)
    url = f"{server.url}/v1/twilio/voice"
    headers = {"X-Twilio-Signature": RequestValidator(SECRET).compute_signature(url, CALL)}
    assert (await ask(server, headers=headers))[0] == 200
    assert (await ask(server, form={**CALL, "From": "+15550666"}, headers=headers))[0] == 403


async def test_a_json_webhook(serve_media: ServeMedia) -> None:
    """A body that is no form is signed through its hash in the address."""
    server = await serve_media(twilio_auth_token=SECRET)
    body = b'{"CallSid": "CA1"}'
    query = f"?bodySHA256={hashlib.sha256(body).hexdigest()}"
    signature = RequestValidator(SECRET).compute_signature(f"{server.url}/v1/twilio/voice{query}", {})
    headers = {"X-Twilio-Signature": signature, "Content-Type": "application/json"}
    assert (await ask(server, query, form=body, headers=headers))[0] == 200
    assert (await ask(server, query, form=body + b" ", headers=headers))[0] == 403


async def test_a_token_in_the_address(serve_media: ServeMedia) -> None:
    """Where no signature is checked, a token may stand in the webhook's address; it is not handed on."""
    server = await serve_media()
    issued = server.context.auth.signer.issue(tenant="acme", identity="number", scopes=[Scope.MEDIA], lifetime_s=3600)
    status, document = await ask(server, f"?token={issued.token}")
    assert status == 200
    assert issued.token not in document


async def test_characters_that_xml_cannot_hold(serve_media: ServeMedia) -> None:
    """Control characters are left out; the answer stays a document."""
    server = await serve_media(auth="off")
    status, document = await ask(server, "?say=Good%00%08day", form={"From": "+1\x01555"})
    assert status == 200
    found = parsed(document)
    assert found.findtext("Say") == "Goodday"
    assert [p.get("value") for p in found.iter("Parameter")] == ["+1555"]


async def test_without_authentication_there_is_no_token(serve_media: ServeMedia) -> None:
    """Nobody asks for one."""
    server = await serve_media(auth="off")
    _, document = await ask(server)
    assert {p.get("name") for p in parsed(document).iter("Parameter")} == set(ABOUT)
