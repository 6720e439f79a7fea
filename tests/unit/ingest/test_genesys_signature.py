"""Genesys's signatures: the reference file's vector, other spellings of the same, and what is refused."""

from __future__ import annotations

import base64
import hmac

import pytest
from multidict import CIMultiDict

from bridge.ingest.genesys_signature import (
    COVERED,
    INPUT,
    LIFETIME_S,
    SIGNATURE,
    SKEW_S,
    signed_headers,
    signed_once,
)
from bridge.ingest.signatures import OneUse

SECRET = "b3VyLW93bi10ZXN0LXNlY3JldC0wMTIzNDU2Nzg5YWI="
URL = "wss://calls.example.org/audiohook?tenant=t1"
NOW = 1_760_000_000
UPGRADE = {
    "Audiohook-Organization-Id": "11111111-2222-4333-8444-555555555555",
    "Audiohook-Session-Id": "66666666-7777-4888-9999-aaaaaaaaaaaa",
    "Audiohook-Correlation-Id": "bbbbbbbb-cccc-4ddd-8eee-ffffffffffff",
    "X-API-KEY": "demo-key-1",
}
NAMES = " ".join(f'"{name}"' for name in COVERED)
KNOWN = f'sig1=({NAMES});keyid="demo-key-1";nonce="MDEyMzQ1Njc4OWFiY2RlZmdo";alg="hmac-sha256";created={NOW};expires={NOW + 30}'
NONCE = "0123456789abcdefghijkl"


def known(**changed: str) -> CIMultiDict[str]:
    """The vector's headers, some of them otherwise (`_` for `-`)."""
    changes = {name.replace("_", "-"): value for name, value in changed.items()}
    signature = "sig1=:Dc9+ZdU4vsA/tczSzSjahVWTM1avPr7qGVVqvT4ZUSI=:"
    return CIMultiDict({**UPGRADE, INPUT: KNOWN, SIGNATURE: signature, **changes})


def signed(url: str = URL, **changed: str) -> CIMultiDict[str]:
    """Headers signed by us, some of them changed afterwards."""
    headers = CIMultiDict({**UPGRADE, **signed_headers(SECRET, url, UPGRADE, nonce=NONCE, now=NOW)})
    headers.update({name.replace("_", "-"): value for name, value in changed.items()})
    return headers


def test_a_known_signature() -> None:
    """The reference file's vector."""
    assert signed_once(SECRET, URL, known(), now=NOW)


def test_which_signature_it_is() -> None:
    """Known by key and nonce, whatever its label, for as long as it is fresh: not for as long as it says."""
    relabelled = known(Signature_Input=KNOWN.replace("sig1", "a"), Signature=known()[SIGNATURE].replace("sig1", "a"))
    for headers in (known(), relabelled):
        once = signed_once(SECRET, URL, headers, now=NOW)
        assert once == OneUse("demo-key-1 MDEyMzQ1Njc4OWFiY2RlZmdo", NOW + LIFETIME_S + SKEW_S)


def test_what_we_sign() -> None:
    """`callbridge play` signs as is checked."""
    assert signed_once(SECRET, URL, signed(), now=NOW)


@pytest.mark.parametrize(
    "url",
    [
        "wss://CALLS.example.org/audiohook?tenant=t1",
        "wss://calls.example.org:443/audiohook?tenant=t1",
        "https://calls.example.org/audiohook?tenant=t1",
    ],
)
def test_the_same_address(url: str) -> None:
    """The host is compared in lower case and without its usual port; the scheme is not signed."""
    assert signed_once(SECRET, url, known(), now=NOW)


def test_one_of_several_signatures() -> None:
    """Other labels, and other signatures, may stand beside it."""
    other = 'sig0=("@authority" "date");keyid="x", '
    headers = known(Signature_Input=other + KNOWN, Signature=f"sig0=:AAAA:, {known()[SIGNATURE]}")
    assert signed_once(SECRET, URL, headers, now=NOW)


@pytest.mark.parametrize(
    ("url", "changed"),
    [
        pytest.param("wss://calls.example.org/audiohook", {}, id="another-query"),
        pytest.param("wss://calls.example.org/other?tenant=t1", {}, id="another-path"),
        pytest.param("wss://example.org/audiohook?tenant=t1", {}, id="another-host"),
        pytest.param("wss://calls.example.org:8443/audiohook?tenant=t1", {}, id="another-port"),
        pytest.param(URL, {"X_API_KEY": "demo-key-2"}, id="another-key"),
        pytest.param(URL, {"X_API_KEY": "demo-\udcd3"}, id="a-key-that-is-no-utf-8"),
        pytest.param(URL, {"Audiohook_Session_Id": "x"}, id="another-session"),
        pytest.param(URL, {"Signature": "sig1=:AAAA:"}, id="another-signature"),
        pytest.param(URL, {"Signature": ""}, id="no-signature"),
        pytest.param(URL, {"Signature": "sig2=:Dc9+ZdU4vsA/tczSzSjahVWTM1avPr7qGVVqvT4ZUSI=:"}, id="another-label"),
        pytest.param(URL, {"Signature_Input": ""}, id="no-input"),
        pytest.param(URL, {"Signature_Input": KNOWN.replace("hmac-sha256", "rsa-pss-sha512")}, id="another-algorithm"),
        pytest.param(URL, {"Signature_Input": KNOWN.replace(f";created={NOW}", "")}, id="no-time"),
        pytest.param(URL, {"Signature_Input": KNOWN.replace(f"created={NOW}", "created=now")}, id="time-is-no-number"),
        pytest.param(URL, {"Signature_Input": KNOWN.replace("MDEyMzQ1Njc4OWFiY2RlZmdo", "MDEy")}, id="short-nonce"),
        pytest.param(URL, {"Signature_Input": KNOWN.replace(f"expires={NOW + 30}", "expires=1")}, id="expired"),
    ],
)
def test_what_is_refused(url: str, changed: dict[str, str]) -> None:
    """Anything that is not as it was signed, or not signed as it has to be."""
    assert not signed_once(SECRET, url, known(**changed), now=NOW)


@pytest.mark.parametrize("name", COVERED)
def test_a_signature_that_covers_too_little(name: str) -> None:
    """Every part that has to be covered is: one that is right without it is refused."""
    fewer = KNOWN.removeprefix("sig1=").replace(f'"{name}"', '"@authority"')
    headers = known()
    covered = [each if each != name else "@authority" for each in COVERED]
    lower = {header.lower(): value for header, value in headers.items()}
    value = {"@request-target": "/audiohook?tenant=t1", "@authority": "calls.example.org", **lower}
    lines = [f'"{each}": {value[each]}' for each in covered]
    base = "\n".join([*lines, f'"@signature-params": {fewer}'])
    right = base64.b64encode(hmac.digest(base64.b64decode(SECRET), base.encode(), "sha256")).decode()
    headers.update({INPUT: f"sig1={fewer}", SIGNATURE: f"sig1=:{right}:"})
    assert bool(signed_once(SECRET, URL, headers, now=NOW)) == (name == "@authority")


@pytest.mark.parametrize("missing", UPGRADE)
def test_a_header_that_is_missing(missing: str) -> None:
    """What is covered has to be there."""
    headers = known()
    del headers[missing]
    assert not signed_once(SECRET, URL, headers, now=NOW)


@pytest.mark.parametrize(
    ("at_s", "good"),
    [(-SKEW_S - 1, False), (-SKEW_S, True), (LIFETIME_S + SKEW_S, True), (LIFETIME_S + SKEW_S + 1, False)],
)
def test_when_it_is_good(at_s: float, good: bool) -> None:
    """For ten seconds, and half a minute more on either side for clocks that differ."""
    assert bool(signed_once(SECRET, URL, known(), now=NOW + at_s)) == good
    assert bool(signed_once(SECRET, URL, signed(), now=NOW + at_s)) == good
