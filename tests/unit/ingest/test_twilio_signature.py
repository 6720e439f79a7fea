from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from bridge.ingest.twilio_signature import (
    SETTINGS,
    SIGNATURE,
    body_is_signed,
    form_is_signed,
    sign,
    upgrade_is_signed,
)

SECRET = "0123456789abcdef0123456789abcdef"
STREAM = "wss://calls.example.org/twilio"
VOICE = "https://calls.example.org/voice"
FORM = [("From", "+15550100"), ("CallSid", f"CA{'0' * 32}"), ("AccountSid", f"AC{'0' * 32}")]
SHA256 = {SETTINGS: "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"}


@pytest.mark.parametrize(
    ("url", "form", "algorithm", "signature"),
    [
        pytest.param(STREAM, [], "HMAC_SHA1", "bGIHUDN8gn9nhioEHGv2X59FIkw=", id="upgrade"),
        pytest.param(STREAM, [], "HMAC_SHA256", "caYWrRg6VHP2esg6uLCQKAn1P9eqmhuMFppO576jyUc=", id="upgrade-sha256"),
        pytest.param(VOICE, FORM, "HMAC_SHA1", "pqUAI8URhtloow4ajicYJkZLd8g=", id="form"),
    ],
)
def test_known_signatures(url: str, form: list[tuple[str, str]], algorithm: str, signature: str) -> None:
    """The reference file's vectors, made and checked."""
    headers = {SIGNATURE: signature, **(SHA256 if algorithm == "HMAC_SHA256" else {})}
    assert sign(SECRET, url, form, algorithm=algorithm) == signature
    assert form_is_signed(SECRET, url, form, headers)
    assert upgrade_is_signed(SECRET, url, headers) == (not form)


fields = st.lists(
    st.tuples(st.text(st.characters(codec="utf-8"), max_size=8), st.text(st.characters(codec="utf-8"), max_size=8)),
    max_size=6,
)


class Form(dict):
    """A form as web frameworks hand it to Twilio's validator: a name may have several values."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        super().__init__(pairs)
        self._pairs = pairs

    def getall(self, name: str) -> list[str]:
        return [value for key, value in self._pairs if key == name]


@given(form=fields, algorithm=st.sampled_from(["HMAC_SHA1", "HMAC_SHA256"]))
def test_twilios_own_library_agrees(form: list[tuple[str, str]], algorithm: str) -> None:
    """Any form, names with several values among them, is signed as Twilio's validator signs it."""
    theirs = RequestValidator(SECRET).compute_signature(VOICE, Form(form), algorithm)
    assert sign(SECRET, VOICE, form, algorithm=algorithm) == theirs


@pytest.mark.parametrize(
    ("signed", "asked"),
    [
        pytest.param("wss://calls.example.org/t", "ws://calls.example.org/t", id="tls-ends-before-us"),
        pytest.param("https://calls.example.org/t", "http://calls.example.org/t", id="tls-ends-before-us-http"),
        pytest.param("wss://calls.example.org:443/t", "wss://calls.example.org/t", id="port-signed"),
        pytest.param("wss://calls.example.org/t", "wss://calls.example.org:443/t", id="port-asked"),
        pytest.param("wss://calls.example.org:8443/t?a=1", "wss://calls.example.org:8443/t?a=1", id="port-of-its-own"),
        pytest.param("wss://[::1]/t", "wss://[::1]:443/t", id="ipv6"),
    ],
)
def test_spellings_of_one_address(signed: str, asked: str) -> None:
    """TLS that ends at a proxy, and the usual port written or not, make no difference."""
    assert upgrade_is_signed(SECRET, asked, {SIGNATURE: sign(SECRET, signed)})


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        pytest.param(STREAM, {}, id="missing"),
        pytest.param(STREAM, {SIGNATURE: ""}, id="empty"),
        pytest.param(STREAM, {SIGNATURE: "é\udcff"}, id="not-ascii"),
        pytest.param(STREAM, {SIGNATURE: sign("another secret", STREAM)}, id="another-secret"),
        pytest.param(STREAM, {SIGNATURE: sign(SECRET, STREAM + "2")}, id="another-path"),
        pytest.param(STREAM, {SIGNATURE: sign(SECRET, "wss://evil.example/twilio")}, id="another-host"),
        pytest.param(
            "wss://calls.example.org:8443/t", {SIGNATURE: sign(SECRET, "wss://calls.example.org/t")}, id="another-port"
        ),
        pytest.param(STREAM, {SIGNATURE: sign(SECRET, STREAM), **SHA256}, id="sha1-where-sha256-is-named"),
        pytest.param(STREAM, {SIGNATURE: sign(SECRET, STREAM), SETTINGS: "algorithm=HMAC_MD5"}, id="unknown-algorithm"),
    ],
)
def test_what_is_not_signed(url: str, headers: dict[str, str]) -> None:
    """Anything but the right signature of the right address by the right key is refused."""
    assert not upgrade_is_signed(SECRET, url, headers)


def test_a_json_body_is_signed_through_its_hash() -> None:
    """The URL names the body's SHA-256 and is signed itself; a changed body or URL does not pass."""
    body = b'{"CallSid":"CA1"}'
    url = f"{VOICE}?bodySHA256={hashlib.sha256(body).hexdigest()}"
    headers = {SIGNATURE: RequestValidator(SECRET).compute_signature(url, {})}
    assert body_is_signed(SECRET, url, body, headers)
    assert not body_is_signed(SECRET, url, body + b" ", headers)
    assert not body_is_signed(SECRET, VOICE, body, {SIGNATURE: sign(SECRET, VOICE)})
