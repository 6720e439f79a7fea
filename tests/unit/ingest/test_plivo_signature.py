"""Plivo's V3 signatures: the reference file's vector, Plivo's own library, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plivo.utils.signature_v3 import construct_get_url, construct_post_url, get_signature_v3, validate_v3_signature

from bridge.ingest.plivo_signature import NONCE, SIGNATURE, form_is_signed, sign, upgrade_is_signed

SECRET = "0123456789abcdef0123456789abcdef"
STREAM = "wss://calls.example.org/plivo"
VOICE = "https://calls.example.org/voice"
NUMBER = "12345678901234567890"
FORM = [("CallUUID", "c1"), ("From", "15550100"), ("Event", "StartApp")]

words = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\t"), min_size=1, max_size=6)
fields = st.lists(st.tuples(words, words), max_size=5)
ascii_words = st.text("abcXYZ019._-", min_size=1, max_size=6)  # of others, Plivo's library makes mojibake
queries = st.lists(st.tuples(ascii_words, ascii_words), max_size=4)


def signed(signature: str, nonce: str = NUMBER) -> dict[str, str]:
    return {SIGNATURE: signature, NONCE: nonce}


def multiple(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """A form as Plivo's library takes it: a list where a name has several values."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return {name: values if len(values) > 1 else values[0] for name, values in found.items()}


def test_a_known_signature() -> None:
    """The reference file's vector."""
    signature = "tI0uWbrBjh7KaVB71+qF1oUdcNwvjhf2RJS2HzVZC2U="
    assert sign(SECRET, STREAM, NUMBER) == signature
    assert upgrade_is_signed(SECRET, STREAM, signed(signature))


@given(form=fields, query=queries)
def test_plivos_own_library_agrees(form: list[tuple[str, str]], query: list[tuple[str, str]]) -> None:
    """Any form and any query, names with several values among them, are signed as Plivo's library signs them."""
    url = f"{VOICE}?{'&'.join(f'{name}={value}' for name, value in query)}" if query else VOICE
    base = construct_post_url(url, multiple(form)) if form else construct_get_url(url, {})
    theirs = get_signature_v3(SECRET.encode(), base.decode(), NUMBER).decode()
    assert sign(SECRET, url, NUMBER, form) == theirs
    assert form_is_signed(SECRET, url, form, signed(theirs))


def test_plivos_validator_takes_ours() -> None:
    """What `callbridge play` sends passes for Plivo's, on a GET as on a POST."""
    for method, form in (("GET", []), ("POST", FORM)):
        signature = sign(SECRET, f"{VOICE}?b=2&a=1", NUMBER, form)
        assert validate_v3_signature(method, f"{VOICE}?b=2&a=1", NUMBER, SECRET, signature, dict(form))


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        pytest.param("wss://calls.example.org/p", "ws://calls.example.org/p", id="tls-ends-before-us"),
        pytest.param("https://calls.example.org/p", "ws://calls.example.org/p", id="signed-as-https"),
        pytest.param("wss://calls.example.org:443/p", "wss://calls.example.org/p", id="port-signed"),
        pytest.param(
            "https://calls.example.org/p?a=1&b=2", "wss://calls.example.org/p?b=2&a=1", id="query-in-any-order"
        ),
    ],
)
def test_spellings_of_one_address(url: str, asked: str) -> None:
    """Which scheme Plivo signs for a socket is not written down: each of one address will do."""
    assert upgrade_is_signed(SECRET, asked, signed(sign(SECRET, url, NUMBER)))


def test_one_of_several_signatures() -> None:
    """While a secret rotates there are several, separated by commas."""
    both = f"{sign('another', STREAM, NUMBER)}, {sign(SECRET, STREAM, NUMBER)}"
    assert upgrade_is_signed(SECRET, STREAM, signed(both))


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="missing"),
        pytest.param({SIGNATURE: sign(SECRET, STREAM, "")}, id="no-nonce"),
        pytest.param(signed(""), id="empty"),
        pytest.param(signed("é\udcff,\udcff"), id="not-ascii"),
        pytest.param(signed(sign(SECRET, STREAM, NUMBER), "1"), id="another-nonce"),
        pytest.param(signed(sign("another", STREAM, NUMBER)), id="another-secret"),
        pytest.param(signed(sign(SECRET, STREAM + "2", NUMBER)), id="another-path"),
        pytest.param(signed(sign(SECRET, STREAM + "?token=x", NUMBER)), id="another-query"),
        pytest.param(signed(sign(SECRET, "wss://evil.example/plivo", NUMBER)), id="another-host"),
    ],
)
def test_what_is_not_signed(headers: dict[str, str]) -> None:
    """Anything but the right signature of the right address by the right key is refused."""
    assert not upgrade_is_signed(SECRET, STREAM, headers)
    assert not form_is_signed(SECRET, STREAM, FORM, headers)
