"""Vonage's signed JWT: on upgrades, on webhooks, and what is refused."""

from __future__ import annotations

import hashlib
from typing import Any

import jwt
import pytest

from bridge.ingest.signatures import OneUse
from bridge.ingest.vonage_signature import bearer, is_signed, signed_once

SECRET = "0123456789abcdef" * 4
NOW = 1_760_000_000.0
BODY = b'{"uuid":"aaaaaaaa-bbbb-cccc-dddd-0123456789ab"}'


def token(secret: str = SECRET, algorithm: str = "HS256", **changed: Any) -> str:
    """As the documents show it, made by hand."""
    claims = {"iat": int(NOW), "jti": "c5ba8f24", "iss": "Vonage", "api_key": "a1b2c3d", "application_id": "aaaaaaaa"}
    claims |= {"payload_hash": hashlib.sha256(BODY).hexdigest()} | changed
    made = jwt.encode({name: value for name, value in claims.items() if value is not None}, secret, algorithm=algorithm)
    return f"Bearer {made}"


def test_an_upgrade_and_a_webhook() -> None:
    """An upgrade has no body; a webhook's is in the token by its hash."""
    assert is_signed(SECRET, token(), now=NOW)
    assert is_signed(SECRET, token(), now=NOW, body=BODY)
    assert is_signed(SECRET, token(payload_hash=hashlib.sha256(BODY).hexdigest().upper()), now=NOW, body=BODY)
    assert not is_signed(SECRET, token(), now=NOW, body=BODY + b" ")
    assert not is_signed(SECRET, token(payload_hash=None), now=NOW, body=BODY)


def test_what_play_sends() -> None:
    """The carrier's half signs as the check asks for."""
    assert is_signed(SECRET, bearer(SECRET, now=NOW, jti="1"), now=NOW)
    assert is_signed(SECRET, bearer(SECRET, now=NOW, jti="1", body=BODY), now=NOW, body=BODY)


def test_which_token_it_is() -> None:
    """Known by its `jti` for as long as it is fresh, else by what is signed of it, however the header is spelled."""
    assert signed_once(SECRET, token(), now=NOW) == OneUse("c5ba8f24", NOW + 300)
    nameless = token(jti=None)
    spellings = (nameless, nameless.replace("Bearer ", "bearer  "))
    assert len({signed_once(SECRET, spelled, now=NOW) for spelled in spellings}) == 1
    assert signed_once(SECRET, nameless, now=NOW) != signed_once(SECRET, token(jti=None, api_key="x"), now=NOW)
    assert signed_once(SECRET, token(), now=NOW + 301) is None


@pytest.mark.parametrize(("late", "passes"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)])
def test_how_old_a_token_may_be(late: float, passes: bool) -> None:
    """Five minutes on either side, by the clock that is handed in, whatever `exp` says."""
    assert is_signed(SECRET, token(exp=1), now=NOW + late) == passes


@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param("", id="missing"),
        pytest.param("Bearer", id="empty"),
        pytest.param(token().removeprefix("Bearer "), id="no-scheme"),
        pytest.param(token().replace("Bearer", "Basic"), id="another-scheme"),
        pytest.param("Bearer é\udcff", id="not-ascii"),
        pytest.param("Bearer a.b.c", id="no-token"),
        pytest.param(token(secret="x" * 64), id="another-secret"),
        pytest.param(token(algorithm="HS512"), id="another-algorithm"),
        pytest.param(f"Bearer {jwt.encode({'iss': 'Vonage', 'iat': NOW}, None, algorithm='none')}", id="not-signed"),
        pytest.param(token(iss="callbridge"), id="another-issuer"),
        pytest.param(token(iss=None), id="no-issuer"),
        pytest.param(token(iat=None), id="no-time"),
        pytest.param(token()[:-2], id="cut"),
    ],
)
def test_what_is_not_signed(authorization: str) -> None:
    """Anything but a fresh token of Vonage's by the right secret is refused."""
    assert not is_signed(SECRET, authorization, now=NOW)


@pytest.mark.parametrize("time", ["now", [1], {}, "1e999"], ids=repr)
def test_a_time_that_is_none(time: object) -> None:
    """PyJWT leaves `iat` to us: what is no number is refused."""
    assert not is_signed(SECRET, token(iat=time), now=NOW)
