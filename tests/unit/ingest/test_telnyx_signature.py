"""Telnyx's webhook signatures: the reference file's vector, Telnyx's own library, and what is refused."""

from __future__ import annotations

import base64
import time

import pytest
from nacl.signing import SigningKey
from telnyx.lib.webhook_verification import WebhookVerificationError, verify_webhook_signature

from bridge.errors import SetupError
from bridge.ingest.telnyx_signature import SIGNATURE, TIMESTAMP, is_signed
from bridge.settings import load

SEED = SigningKey(bytes(range(32)))
KEY = base64.b64encode(bytes(SEED.verify_key)).decode()
NOW = 1_760_000_000
BODY = b'{"data":{"event_type":"streaming.started"}}'
KNOWN = "PPnvpUPTWcgdsv1j6Dt6wb7L/qHu8ZTN5kH85jwFIZB8Xdb+EvkeUtnbw9s3PgYujk6cZDsmG9rwqvKqdHEbCw=="


def signed(body: bytes, at: int | str = NOW, seed: SigningKey = SEED) -> dict[str, str]:
    signature = seed.sign(f"{at}|".encode() + body).signature
    return {SIGNATURE: base64.b64encode(signature).decode(), TIMESTAMP: str(at)}


def test_a_known_signature() -> None:
    """The reference file's vector."""
    assert KEY == "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
    assert signed(BODY) == {SIGNATURE: KNOWN, TIMESTAMP: str(NOW)}
    assert is_signed(KEY, BODY, {SIGNATURE: KNOWN, TIMESTAMP: str(NOW)}, now=NOW)


@pytest.mark.parametrize(
    "body", [BODY, b"", b"CallSid=1&From=%2B15550100", "Grüße".encode()], ids=["json", "empty", "form", "umlauts"]
)
def test_telnyxs_own_library_agrees(body: bytes) -> None:
    """What its verifier takes is taken, and a byte more is taken by neither."""
    headers = signed(body, int(time.time()))
    verify_webhook_signature(body, headers, KEY)
    assert is_signed(KEY, body, headers, now=time.time())
    with pytest.raises(WebhookVerificationError):
        verify_webhook_signature(body + b" ", headers, KEY)
    assert not is_signed(KEY, body + b" ", headers, now=time.time())


@pytest.mark.parametrize(("late", "passes"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)])
def test_how_old_a_webhook_may_be(late: int, passes: bool) -> None:
    """Five minutes on either side: an older one may be a replay."""
    assert is_signed(KEY, BODY, signed(BODY), now=NOW + late) == passes


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="missing"),
        pytest.param({SIGNATURE: KNOWN}, id="no-time"),
        pytest.param({TIMESTAMP: str(NOW)}, id="no-signature"),
        pytest.param({SIGNATURE: "", TIMESTAMP: str(NOW)}, id="empty"),
        pytest.param({SIGNATURE: "é\udcff", TIMESTAMP: str(NOW)}, id="not-ascii"),
        pytest.param({SIGNATURE: KNOWN[4:], TIMESTAMP: str(NOW)}, id="too-short"),
        pytest.param({SIGNATURE: KNOWN, TIMESTAMP: "now"}, id="no-number"),
        pytest.param({SIGNATURE: KNOWN, TIMESTAMP: "¹⁷"}, id="digits-of-another-kind"),
        pytest.param({SIGNATURE: KNOWN, TIMESTAMP: "9" * 400}, id="endless-number"),
        pytest.param({SIGNATURE: KNOWN, TIMESTAMP: str(NOW + 1)}, id="another-time"),
        pytest.param(signed(BODY, seed=SigningKey(bytes(32))), id="another-key"),
        pytest.param(signed(b"{}"), id="another-body"),
    ],
)
def test_what_is_not_signed(headers: dict[str, str]) -> None:
    """Anything but the right signature of this time and body by the right key is refused."""
    assert not is_signed(KEY, BODY, headers, now=NOW)


@pytest.mark.parametrize("key", ["abc", "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJV", "not base64!", "ä" * 44])
def test_a_key_that_is_none(key: str) -> None:
    """It is told at the start, and not by webhooks that all fail."""
    with pytest.raises(SetupError, match="CALLBRIDGE_TELNYX_PUBLIC_KEY: must be the public key"):
        load(telnyx_public_key=key)
    assert load(telnyx_public_key=KEY).telnyx_public_key == KEY
