"""Webhooks checked by our SDK, against independent verifiers' own vectors."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from bridge.client import RequestValidator
from bridge.deliver.signing import sign

BODY = '{"event":"recording.transcribed","timestamp":1703001600}'
VALIDATOR = RequestValidator("whsec_demo")

VECTORS = [
    ({}, "a48954b7bc2963e753fdeb7ae34c97897ae2d2c847d3dc64f8bf3c7ec258f6f4"),
    ({"timestamp": "1703001600"}, "c9b077caa19cc4a137e73fd48e822a5f35b91fc2355cd9812bb90774b6dd9c37"),
    (
        {"timestamp": "1703001600", "delivery_id": "dlv_1"},
        "8c293e1d2e66de40d6c5956de3649cae72d308ddaef83c4b0f60d55402f234ac",
    ),
]
"""Computed with VocaFuse's own SDK."""


@pytest.mark.parametrize(("given", "digest"), VECTORS, ids=["body", "timestamp", "timestamp-and-delivery"])
def test_signatures_of_the_body(given: dict[str, str], digest: str) -> None:
    """With and without prefix, in text and bytes; nothing else passes."""
    for payload in (BODY, BODY.encode()):
        for signature in (f"sha256={digest}", digest, digest.upper()):
            assert VALIDATOR.validate(payload, signature, **given)
    assert VALIDATOR.compute_signature(BODY, **given) == digest
    for wrong in ("", None, "sha256=", digest[:-1], "é" * 64):
        assert not VALIDATOR.validate(BODY, wrong, **given)
    assert not VALIDATOR.validate(f"{BODY} ", digest, **given)
    assert not RequestValidator("another").validate(BODY, digest, **given)


@pytest.mark.parametrize("secret", ["whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3", "chosen by hand"])
def test_standard_webhooks(secret: str) -> None:
    """Whichever of several signatures is ours; a name's case is nothing; an old message is refused."""
    now = int(time.time())
    headers = {"Webhook-Id": "msg_1", "Webhook-Timestamp": str(now)}
    ours = sign(secret, "msg_1", now, BODY.encode())
    validator = RequestValidator(secret)
    assert validator.validate_request(BODY, {**headers, "Webhook-Signature": f"v1,bm9uZQ== {ours}"})
    assert not validator.validate_request(BODY, {**headers, "Webhook-Signature": "v1,bm9uZQ=="})
    assert not validator.validate_request(BODY + " ", {**headers, "Webhook-Signature": ours})
    assert not validator.validate_request(BODY, headers)
    assert not validator.validate_request(BODY, {})
    old = now - 301
    late = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(old),
        "webhook-signature": sign(secret, "msg_1", old, b"{}"),
    }
    assert not validator.validate_request(b"{}", late)
    assert validator.validate_request(b"{}", late, tolerance_s=3600)


def test_what_another_signer_has_signed() -> None:
    """The standard's own package writes what is read here."""
    secret, at = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3", datetime.now(UTC)
    signature = Webhook(secret).sign("msg_1", at, BODY)
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}
    assert RequestValidator(secret).validate_request(BODY, headers)


def test_either_way_by_its_headers() -> None:
    """A body's signature alone, or with time and delivery; then it must be fresh."""
    now = str(int(time.time()))
    plain = {"X-VocaFuse-Delivery-ID": "dlv_1", "X-VocaFuse-Signature": f"sha256={VALIDATOR.compute_signature(BODY)}"}
    assert VALIDATOR.validate_request(BODY, plain)
    timed = VALIDATOR.compute_signature(BODY, now, "dlv_1")
    headers = {"x-vocafuse-delivery-id": "dlv_1", "x-vocafuse-timestamp": now, "x-vocafuse-signature": timed}
    assert VALIDATOR.validate_request(BODY, headers)
    assert not VALIDATOR.validate_request(BODY, {**headers, "x-vocafuse-timestamp": str(int(now) - 301)})
