"""VocaFuse's webhooks without a socket: what is said, under whose name, and how it is signed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.compat.vocafuse.messages import EVENTS, SIGNATURE, Messages, sign
from bridge.deliver.retry import Outcome, next_due
from bridge.model.records import Delivery, DeliveryStatus, Endpoint
from bridge.store.changes import Changes
from bridge.store.payloads import ended_payload, event_payload
from tests.story import START, Story, acmes, ended, final, segment, started

BODY = b'{"event":"recording.transcribed","timestamp":1703001600}'


def endpoint(*events: str, **options: str) -> Endpoint:
    return Endpoint(
        id="we_1",
        tenant="acme",
        url="https://app.example.org/hook",
        events=(),
        secrets=("whsec_demo",),
        enabled=True,
        created_at=START,
        style="vocafuse",
        options={EVENTS: ",".join(events), **options},
    )


def delivery(kind: str, payload: dict[str, Any]) -> Delivery:
    return Delivery(
        id="dlv_1",
        tenant="acme",
        endpoint_id="we_1",
        call_id="call-1",
        type=kind,
        payload=payload,
        status=DeliveryStatus.PENDING,
        created_at=START,
        due_at=START,
    )


def told(kind: str, *events: str, error: str | None = None) -> dict[str, Any]:
    """The message about a call of which `kind` is told."""
    story, changes = Story(), Changes({})
    bodies = [started(identity="user_7"), final(1, "hello there"), ended("error" if error else "closed", error)]
    happened = story.tell(*bodies)
    for event in happened:
        changes.add(event)
    call = changes.calls[acmes("call-1")]
    payload = (
        event_payload(happened[0], call) if kind == "call.started" else ended_payload(call, [segment(1, "hello there")])
    )
    message: dict[str, Any] = json.loads(Messages().body(delivery(kind, payload), endpoint(*events)))
    return message


@pytest.mark.parametrize("event", ["recording.transcribed", "voicenote.transcribed", "recording.completed"])
def test_what_was_said_under_the_name_that_was_asked_for(event: str) -> None:
    """Times are Unix seconds, the language a code, the state `completed`; the object bears the event's noun."""
    message = told("call.completed", "recording.failed", event)
    noun = event.partition(".")[0]
    assert message == {
        "event": event,
        "timestamp": int(START) + 2,
        noun: {
            "id": "call-1",
            "identity": "user_7",
            "status": "completed",
            "duration": 60.0,
            "created_at": int(START),
            "completed_at": int(START) + 2,
            "transcription": {"text": "hello there", "confidence": 0.5, "language": "en"},
        },
        "data": message[noun],
    }


def test_a_recording_that_failed() -> None:
    """Why stands beside it; of words there is nothing."""
    message = told("call.failed", "voicenote.failed", error="unreadable_recording")
    assert set(message["voicenote"]) == {"id", "identity", "status", "created_at"}
    assert message["voicenote"]["status"] == "failed"
    assert message["error"] == {
        "code": "TRANSCRIPTION_FAILED",
        "message": "A file that holds no audio, or none that can be read.",
    }


def test_a_recording_that_has_come() -> None:
    """It is being put into words."""
    message = told("call.started", "recording.created")
    assert (message["event"], message["recording"]["status"]) == ("recording.created", "processing")


def test_a_test_message_is_told_as_it_is() -> None:
    """What an operator sends by hand has no recording."""
    payload = {"type": "webhook.test", "timestamp": "2027-01-15T08:00:00Z", "data": {"message": "hello"}}
    body = Messages().body(delivery("webhook.test", payload), endpoint("recording.transcribed"))
    assert json.loads(body) == {"event": "webhook.test", "timestamp": int(START), "data": {"message": "hello"}}


@pytest.mark.parametrize(
    ("signed", "digest"),
    [
        (BODY, "a48954b7bc2963e753fdeb7ae34c97897ae2d2c847d3dc64f8bf3c7ec258f6f4"),
        (b"1703001600." + BODY, "c9b077caa19cc4a137e73fd48e822a5f35b91fc2355cd9812bb90774b6dd9c37"),
        (b"1703001600.dlv_1." + BODY, "8c293e1d2e66de40d6c5956de3649cae72d308ddaef83c4b0f60d55402f234ac"),
    ],
    ids=["body", "timestamp", "timestamp-and-delivery"],
)
def test_signatures_as_vocafuses_sdk_computes_them(signed: bytes, digest: str) -> None:
    """The secret's own characters are the key: no base64, no prefix taken off."""
    assert sign("whsec_demo", signed) == f"sha256={digest}"


def test_the_headers_of_both_modes() -> None:
    """By default no timestamp goes along, since SDKs that see one sign with it."""
    said = delivery("call.completed", {})
    plain = Messages().headers(said, endpoint(), 1703001600.9, BODY)
    assert plain == {"X-VocaFuse-Delivery-ID": "dlv_1", "X-VocaFuse-Signature": sign("whsec_demo", BODY)}
    timed = Messages().headers(said, endpoint(**{SIGNATURE: "timestamped"}), 1703001600.9, BODY)
    assert timed == {
        "X-VocaFuse-Delivery-ID": "dlv_1",
        "X-VocaFuse-Timestamp": "1703001600",
        "X-VocaFuse-Signature": sign("whsec_demo", b"1703001600.dlv_1." + BODY),
    }


def test_five_tries() -> None:
    """At once, then after 30 s, 5 min, 30 min and 2 h; then never."""
    waits, number = [], 1
    schedule = Messages().schedule_s
    while (due := next_due(Outcome(status=500), number=number, now=0.0, chance=0.0, schedule_s=schedule)) is not None:
        waits.append(due)
        number += 1
    assert (waits, number) == ([30, 300, 1800, 7200], 5)
