from __future__ import annotations

from datetime import UTC, datetime

import aiohttp
import pytest
from standardwebhooks import Webhook

from bridge.cli.webhook_receiver import Receiver, UnsignedError, verify
from tests.clock import VirtualClock

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = '{"type":"call.completed","data":{"call_id":"demo"}}'
NOW = 1_800_000_000.0


def signed(body: str = BODY, at: float = NOW, secret: str = SECRET) -> dict[str, str]:
    """As the standard's own package signs."""
    when = datetime.fromtimestamp(at, UTC)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at)),
        "webhook-signature": Webhook(secret).sign("msg_1", when, body),
    }


def test_what_is_signed_is_believed() -> None:
    """Messages signed by the standard's own package pass, also beside a signature with another secret."""
    verify(SECRET, signed(), BODY.encode(), NOW + 299)
    headers = signed()
    headers["webhook-signature"] = f"v1,bm90IHRoaXM= {headers['webhook-signature']}"
    verify(SECRET, headers, BODY.encode(), NOW)


@pytest.mark.parametrize(
    ("headers", "body", "why"),
    [
        pytest.param({}, BODY, "no header 'webhook-id'", id="unsigned"),
        pytest.param(
            signed() | {"webhook-id": "msg_2"}, BODY, "not that of this body", id="another message's signature"
        ),
        pytest.param(signed(), BODY.replace("demo", "mine"), "not that of this body", id="changed on the way"),
        pytest.param(signed(secret="whsec_bm9ib2R5"), BODY, "not that of this body", id="signed with another secret"),
        pytest.param(signed(at=NOW - 301), BODY, "not sent now", id="sent again later"),
        pytest.param(signed(at=NOW + 301), BODY, "not sent now", id="from the future"),
        pytest.param(signed() | {"webhook-timestamp": "soon"}, BODY, "not sent now", id="without a time"),
        pytest.param(signed() | {"webhook-signature": "v1,ü"}, BODY, "not that of this body", id="no signature at all"),
    ],
)
def test_what_is_not_believed(headers: dict[str, str], body: str, why: str) -> None:
    """Anything else is turned away, with the reason."""
    with pytest.raises(UnsignedError, match=why):
        verify(SECRET, headers, body.encode(), NOW)


async def test_a_receiver_over_http(clock: VirtualClock) -> None:
    """A signed message is taken with 204 and kept with its headers; an unsigned one gets 401 and is counted."""
    async with Receiver(SECRET, clock).listening() as receiver, aiohttp.ClientSession() as session:
        at = clock.now()
        async with session.post(receiver.url, data=BODY, headers=signed(at=at)) as answer:
            assert answer.status == 204
        async with session.post(receiver.url, data=BODY + " ", headers=signed(at=at)) as answer:
            assert answer.status == 401
        received = receiver.verified.get_nowait()
        assert received.body["data"] == {"call_id": "demo"}
        assert {name.lower() for name in received.headers} == {"webhook-id", "webhook-timestamp", "webhook-signature"}
        assert receiver.verified.empty()
        assert receiver.refused == ["the signature is not that of this body"]
