"""Webhooks in Twilio's form: its own numbers where a call has them, texts alone, and signatures by its rule."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.compat.twilio.messages import Messages, fields, sign
from bridge.model.records import Delivery, DeliveryStatus, Endpoint

CALL_SID = "CA" + "0a" * 16
TIME = "2026-11-21T08:42:36.123Z"

ENDPOINT = Endpoint(
    id="we_1",
    tenant="acme",
    url="https://app.example/cb?x=1",
    events=(),
    secrets=("tok",),
    enabled=True,
    created_at=0.0,
    style="twilio",
)


def delivery(kind: str, **data: Any) -> Delivery:
    told = {"call_id": "call_1", "carrier_call_id": CALL_SID, **data}
    return Delivery(
        id="msg_1",
        tenant="acme",
        endpoint_id="we_1",
        call_id="call_1",
        type=kind,
        payload={"type": kind, "timestamp": TIME, "data": told},
        status=DeliveryStatus.PENDING,
        created_at=0.0,
        due_at=0.0,
    )


STARTED = delivery("call.started", seq=1, legs=["mixed"])
FINAL = delivery("transcript.final", seq=4, leg="agent", text="Grüß Gott & more", confidence=0.9, language="de")
STOPPED = delivery("call.completed", last_seq=9)
FAILED = delivery("call.failed", last_seq=9, error={"code": "interrupted", "message": "It broke."})


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        pytest.param(
            STARTED,
            {"TranscriptionEvent": "transcription-started", "Track": "inbound_track", "SequenceId": "1"},
            id="started",
        ),
        pytest.param(
            FINAL,
            {
                "TranscriptionEvent": "transcription-content",
                "Track": "outbound_track",
                "TranscriptionData": '{"transcript": "Grüß Gott & more", "confidence": 0.9}',
                "Final": "true",
                "LanguageCode": "de",
                "SequenceId": "4",
            },
            id="words",
        ),
        pytest.param(STOPPED, {"TranscriptionEvent": "transcription-stopped", "SequenceId": "10"}, id="stopped"),
        pytest.param(
            FAILED, {"TranscriptionEvent": "transcription-error", "TranscriptionError": "It broke."}, id="error"
        ),
    ],
)
def test_what_is_said(told: Delivery, expected: dict[str, str]) -> None:
    """Every value is a text, the words are JSON within one, and a call of Twilio's keeps its own number."""
    form = fields(told, ENDPOINT)
    assert expected.items() <= form.items()
    assert (form["CallSid"], form["Timestamp"]) == (CALL_SID, TIME)
    assert all(isinstance(value, str) and value for value in form.values())


def test_a_call_of_another_carrier_gets_a_number() -> None:
    """Of Twilio's form, the same in every message."""
    sids = {
        fields(delivery(kind, carrier_call_id="x", last_seq=1), ENDPOINT)["CallSid"]
        for kind in ("call.completed", "ping")
    }
    [sid] = sids
    assert sid != CALL_SID
    assert len(sid) == len(CALL_SID)


def test_the_signature_is_twilio_s() -> None:
    """A known vector; and what is signed is what the form says once it has been read."""
    form = {"CallSid": "CA1", "TranscriptionEvent": "transcription-started"}
    assert sign("tok", "https://app.example/cb?x=1", form) == "EvtHPto3GVMcqxOqTBOpy9kAcJU="
    body = Messages().body(FINAL, ENDPOINT)
    headers = Messages().headers(FINAL, ENDPOINT, 0.0, body)
    assert headers["X-Twilio-Signature"] == sign("tok", ENDPOINT.url, fields(FINAL, ENDPOINT))
    assert headers["content-type"] == "application/x-www-form-urlencoded"


def test_the_same_bytes_on_every_try() -> None:
    """Nothing of the moment is in them."""
    assert Messages().body(FINAL, ENDPOINT) == Messages().body(FINAL, ENDPOINT)
    assert json.loads(fields(FINAL, ENDPOINT)["TranscriptionData"])["confidence"] == 0.9
