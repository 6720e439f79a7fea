"""Webhooks as Twilio's Real-Time Transcriptions sends them: forms, signed with `X-Twilio-Signature`.

Twilio's documentation: "Real-Time Transcriptions", "Webhooks security". The endpoint's secret is the auth token.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from bridge.model.records import Delivery, Endpoint

STYLE: Final = "twilio"

EVENTS: Final[Mapping[str, str]] = {
    "call.started": "transcription-started",
    "transcript.final": "transcription-content",
    "call.completed": "transcription-stopped",
    "call.failed": "transcription-error",
}
"""What its events are here."""

TRACKS: Final[Mapping[str, str]] = {"caller": "inbound_track", "mixed": "inbound_track", "agent": "outbound_track"}
"""Seen from Twilio: what it receives comes in."""
BOTH: Final = "both_tracks"

INBOUND, OUTBOUND, LANGUAGE, TRACK = "InboundTrackLabel", "OutboundTrackLabel", "LanguageCode", "Track"
ACCOUNT: Final = "AccountSid"
OPTIONS: Final = (INBOUND, OUTBOUND, LANGUAGE, TRACK)
"""Of an endpoint: what the start of a transcription has said, and its first message says again."""

SID: Final = re.compile(r"CA[0-9a-f]{32}")
ENGINE: Final = "callbridge"
FAILED: Final = "32600"
"""One code for all faults: what went wrong is said in words."""


class Messages:
    """The `Style` port."""

    schedule_s: Sequence[float] = (0.0, 1.0, 3.0)
    limit_s = 15.0

    def body(self, delivery: Delivery, endpoint: Endpoint) -> bytes:
        return urlencode(fields(delivery, endpoint)).encode()

    def headers(self, delivery: Delivery, endpoint: Endpoint, now: float, body: bytes) -> Mapping[str, str]:
        del now
        signature = sign(endpoint.secrets[0], delivery.url or endpoint.url, dict(parse_qsl(body.decode())))
        return {"content-type": "application/x-www-form-urlencoded", "X-Twilio-Signature": signature}


def sign(token: str, url: str, form: Mapping[str, str]) -> str:
    """Base64 of HMAC-SHA1 over the address and the form's names and values, by name."""
    signed = url + "".join(f"{name}{form[name]}" for name in sorted(form))
    return base64.b64encode(hmac.digest(token.encode(), signed.encode(), hashlib.sha1)).decode()


def fields(delivery: Delivery, endpoint: Endpoint) -> dict[str, str]:
    """All values are texts. None is empty: who reads a form may not see it, and the signature would not hold."""
    data: Mapping[str, Any] = delivery.payload["data"]
    call_id, named = str(data.get("call_id", "")), str(data.get("carrier_call_id", ""))
    told = {
        "TranscriptionEvent": EVENTS.get(delivery.type, delivery.type),
        ACCOUNT: endpoint.options.get(ACCOUNT, _sid("AC", endpoint.tenant)),
        "CallSid": call_sid(call_id, named),
        "TranscriptionSid": transcription_sid(endpoint, call_id),
        "Timestamp": str(delivery.payload["timestamp"]),
        "SequenceId": str(data["seq"] if "seq" in data else data.get("last_seq", 0) + 1),
        **_more(delivery.type, data, endpoint.options),
    }
    return {name: value for name, value in told.items() if value}


def call_sid(call_id: str, carrier_call_id: str) -> str:
    """The carrier's where that has Twilio's form."""
    return carrier_call_id if SID.fullmatch(carrier_call_id) else _sid("CA", call_id)


def transcription_sid(endpoint: Endpoint, call_id: str) -> str:
    return _sid("GT", f"{endpoint.id} {call_id}")


def _more(kind: str, data: Mapping[str, Any], asked: Mapping[str, str]) -> Mapping[str, str]:
    match kind:
        case "call.started":
            tracks = sorted({TRACKS[leg] for leg in data["legs"]})
            return {
                "TranscriptionEngine": ENGINE,
                "Name": data.get("name", data["call_id"]),
                TRACK: asked.get(TRACK, tracks[0] if len(tracks) == 1 else BOTH),
                INBOUND: asked.get(INBOUND, "caller"),
                OUTBOUND: asked.get(OUTBOUND, "agent"),
                LANGUAGE: asked.get(LANGUAGE, ""),
                "PartialResults": "false",
            }
        case "transcript.final":
            said = {"transcript": data["text"], "confidence": data["confidence"]}
            return {
                "Track": TRACKS[data["leg"]],
                "TranscriptionData": json.dumps(said, ensure_ascii=False),
                "Final": "true",
                "LanguageCode": data["language"],
            }
        case "call.failed":
            return {"TranscriptionErrorCode": FAILED, "TranscriptionError": data["error"]["message"]}
    return {}


def _sid(kind: str, of: str) -> str:
    """Of Twilio's form, and the same whenever it is told."""
    return kind + hashlib.sha256(of.encode()).hexdigest()[:32]
