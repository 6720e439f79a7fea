"""Signatures that an independent implementation accepts."""

from __future__ import annotations

import dataclasses
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from bridge.deliver.signing import key_of, new_secret, sign, signed_headers, signing_secrets
from bridge.model.records import Endpoint

ENDPOINT = Endpoint(
    id="we_1", tenant="acme", url="https://example.org", events=("*",), secrets=("whsec_bmV3", "whsec_b2xk"),
    enabled=True, created_at=0.0,
)  # fmt: skip


def test_the_published_vector() -> None:
    """Id, time and body signed with the standard's example secret."""
    signature = sign("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3", "msg_1", 1703001600, b'{"a":1}')
    assert signature == "v1,phAKuppgBGwplj2pm8KIqFP4ngTF4S+MfMKVZBTXW/o="


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        pytest.param("whsec_MDEyMw==", b"0123", id="base64-behind-the-prefix"),
        pytest.param("whsec_MDEyMw", b"0123", id="without-padding"),
        pytest.param("whsec_", b"whsec_", id="nothing-behind-the-prefix"),
        pytest.param("MDEyMw==", b"MDEyMw==", id="no-prefix-is-taken-as-it-is"),
        pytest.param("whsec_not base64!", b"whsec_not base64!", id="prefix-but-no-base64"),
        pytest.param("schlüssel", "schlüssel".encode(), id="any-text"),
    ],
)
def test_which_bytes_a_secret_stands_for(secret: str, key: bytes) -> None:
    """`whsec_` and base64 are decoded; everything else is its own key."""
    assert key_of(secret) == key


@given(body=st.text(), message_id=st.from_regex(r"msg_[a-z0-9]{1,20}", fullmatch=True))
def test_a_receiver_verifies_what_we_sign(body: str, message_id: str) -> None:
    """The `standardwebhooks` package accepts our headers, and rejects them on another body."""
    endpoint = dataclasses.replace(ENDPOINT, secrets=(new_secret(),))
    payload = json.dumps({"said": body})
    headers = signed_headers(endpoint, message_id, time.time(), payload.encode())
    verifier = Webhook(endpoint.secrets[0])
    assert verifier.verify(payload, headers) == {"said": body}
    with pytest.raises(WebhookVerificationError):
        verifier.verify(payload + " ", headers)


@pytest.mark.parametrize(
    ("rotates_at", "now", "count"),
    [(None, 0.0, 1), (100.0, 99.0, 2), (100.0, 100.0, 1)],
    ids=["no-rotation", "while-rotating", "rotation-over"],
)
def test_an_older_secret_signs_while_it_is_rotated_out(rotates_at: float | None, now: float, count: int) -> None:
    """Receivers with either secret verify until the rotation ends; then only the new one does."""
    endpoint = dataclasses.replace(ENDPOINT, secret_rotates_at=rotates_at)
    assert signing_secrets(endpoint, now) == ENDPOINT.secrets[:count]
    signatures = signed_headers(endpoint, "msg_1", now, b"{}")["webhook-signature"].split(" ")
    assert signatures == [sign(secret, "msg_1", int(now), b"{}") for secret in ENDPOINT.secrets[:count]]


def test_a_new_secret_is_long_enough_and_new() -> None:
    """The standard asks for 24 to 64 random bytes."""
    assert 24 <= len(key_of(new_secret())) <= 64
    assert new_secret() != new_secret()
