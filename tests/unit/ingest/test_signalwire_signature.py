"""SignalWire's webhook signatures: its own over the raw body, Twilio's over the form, and what is refused.

The package `signalwire` (2.1.1) cannot be installed beside this project: it asks for exactly aiohttp 3.9.5 and twilio
6.54. Its vectors below were made with its `RequestValidator` in an environment of its own.
"""

from __future__ import annotations

import pytest
from twilio.request_validator import RequestValidator

from bridge.ingest.signalwire_signature import SIGNATURE, is_signed, sign

SECRET = "PSK0123456789abcdef"
VOICE = "https://calls.example.org/voice"
FORM = [("From", "+15550100"), ("CallSid", "b2f1d6a4-33f3-4d7a-9d5e-5a8c2f0e9b22")]
BODY = b"From=%2B15550100&CallSid=b2f1d6a4-33f3-4d7a-9d5e-5a8c2f0e9b22"


def test_known_signatures() -> None:
    """The package's own: over the raw body, over none, and over the form."""
    assert sign(SECRET, VOICE, BODY) == "a824658f0ea4b78426e30c2017eed3b76efaacd7"
    assert sign(SECRET, f"{VOICE}?a=1", b"") == "e128b38580caef9da56e008d281d9023d807d478"
    assert is_signed(SECRET, VOICE, BODY, FORM, {SIGNATURE: "a824658f0ea4b78426e30c2017eed3b76efaacd7"})
    assert is_signed(SECRET, VOICE, BODY, FORM, {SIGNATURE: "734j2bVeY3XqlkePza+RwMvJPXc="})


def test_the_form_is_signed_as_twilios() -> None:
    """Where SignalWire falls back, Twilio's own validator makes the same signature."""
    theirs = RequestValidator(SECRET).compute_signature(VOICE, dict(FORM))
    assert is_signed(SECRET, VOICE, BODY, FORM, {SIGNATURE: theirs})


@pytest.mark.parametrize(
    ("signed", "asked"),
    [
        pytest.param(VOICE, "http://calls.example.org/voice", id="tls-ends-before-us"),
        pytest.param("https://calls.example.org:443/voice", VOICE, id="port-signed"),
        pytest.param(VOICE, "https://calls.example.org:443/voice", id="port-asked"),
    ],
)
def test_spellings_of_one_address(signed: str, asked: str) -> None:
    """TLS that ends at a proxy, and the usual port written or not, make no difference."""
    assert is_signed(SECRET, asked, BODY, FORM, {SIGNATURE: sign(SECRET, signed, BODY)})


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="missing"),
        pytest.param({SIGNATURE: ""}, id="empty"),
        pytest.param({SIGNATURE: "é\udcff"}, id="not-ascii"),
        pytest.param({SIGNATURE: sign("another", VOICE, BODY)}, id="another-secret"),
        pytest.param({SIGNATURE: sign(SECRET, f"{VOICE}2", BODY)}, id="another-path"),
        pytest.param({SIGNATURE: sign(SECRET, VOICE, BODY + b"&x=1")}, id="another-body"),
        pytest.param({SIGNATURE: RequestValidator(SECRET).compute_signature(VOICE, {"From": "1"})}, id="another-form"),
    ],
)
def test_what_is_not_signed(headers: dict[str, str]) -> None:
    """Anything but the right signature of the right address and body by the right key is refused."""
    assert not is_signed(SECRET, VOICE, BODY, FORM, headers)
