"""Which carriers ask what to do with a call, how each shows that it is the one, and how it is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from aiohttp import hdrs

from bridge.ingest import plivo_signature, signalwire_signature, telnyx_signature, twilio_signature, vonage_signature
from bridge.settings import Settings
from bridge.web.voice.asked import Asked
from bridge.web.voice.bxml import bxml
from bridge.web.voice.exotel_url import exotel_url
from bridge.web.voice.ncco import ncco
from bridge.web.voice.plivo_xml import plivo_xml
from bridge.web.voice.twiml import texml, twiml

XML: Final = "text/xml"
JSON: Final = "application/json"

HASHED: Final = "bodySHA256"
"""The query value by which Twilio signs a body that is no form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A carrier's question as it came, before any of it is believed."""

    url: str
    """As the carrier was told it, with the query."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    form: Sequence[tuple[str, str]] = ()
    """The body's fields, where it is a form."""
    fields: Sequence[tuple[str, str]] = ()
    """What it says of the call: of a form, of a JSON object, of the query of a GET."""


Check: TypeAlias = Callable[[Webhook, Settings, float], bool | None]
"""Whether the signature is right at a Unix time; None where no secret is set to check it with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """How one carrier asks, and how it is answered."""

    dialect: str
    """In which the stream will come; its name is in the address."""
    methods: tuple[str, ...]
    fields: Mapping[str, str]
    """What the webhook knows and the stream's start does not say, and the parameter that brings it there."""
    answer: Callable[[Asked], bytes]
    """Raises InvalidRequestError for what the carrier would not take."""
    content_type: str
    signed: Check = lambda _webhook, _settings, _now: None

    @property
    def path(self) -> str:
        return f"/v1/{self.dialect}/voice"


def _twilio_signed(webhook: Webhook, settings: Settings, _now: float) -> bool | None:
    if settings.twilio_auth_token is None:
        return None
    secret = settings.twilio_auth_token.get_secret_value()
    if HASHED in webhook.query:
        return twilio_signature.body_is_signed(secret, webhook.url, webhook.body, webhook.headers)
    return twilio_signature.form_is_signed(secret, webhook.url, webhook.form, webhook.headers)


def _signalwire_signed(webhook: Webhook, settings: Settings, _now: float) -> bool | None:
    if settings.signalwire_signing_key is None:
        return None
    secret = settings.signalwire_signing_key.get_secret_value()
    return signalwire_signature.is_signed(secret, webhook.url, webhook.body, webhook.form, webhook.headers)


def _telnyx_signed(webhook: Webhook, settings: Settings, now: float) -> bool | None:
    if settings.telnyx_public_key is None:
        return None
    return telnyx_signature.is_signed(settings.telnyx_public_key, webhook.body, webhook.headers, now=now)


def _plivo_signed(webhook: Webhook, settings: Settings, _now: float) -> bool | None:
    if settings.plivo_auth_token is None:
        return None
    secret = settings.plivo_auth_token.get_secret_value()
    return plivo_signature.form_is_signed(secret, webhook.url, webhook.form, webhook.headers)


def _vonage_signed(webhook: Webhook, settings: Settings, now: float) -> bool | None:
    if settings.vonage_signature_secret is None:
        return None
    secret = settings.vonage_signature_secret.get_secret_value()
    authorization = webhook.headers.get(hdrs.AUTHORIZATION, "")
    return vonage_signature.is_signed(secret, authorization, now=now, body=webhook.body)


LIKE_TWILIO: Final = {"From": "metadata.from", "To": "metadata.to", "CallSid": "metadata.call_sid"}

VOICES: Final = (
    Voice(
        dialect="twilio",
        methods=(hdrs.METH_POST,),
        fields=LIKE_TWILIO,
        answer=twiml,
        content_type=XML,
        signed=_twilio_signed,
    ),
    Voice(
        dialect="signalwire",
        methods=(hdrs.METH_POST,),
        fields=LIKE_TWILIO,
        answer=twiml,
        content_type=XML,
        signed=_signalwire_signed,
    ),
    Voice(
        dialect="telnyx",
        methods=(hdrs.METH_POST,),
        fields=LIKE_TWILIO,
        answer=texml,
        content_type=XML,
        signed=_telnyx_signed,
    ),
    Voice(
        dialect="plivo",
        methods=(hdrs.METH_POST, hdrs.METH_GET),
        fields={"From": "metadata.from", "To": "metadata.to"},
        answer=plivo_xml,
        content_type=XML,
        signed=_plivo_signed,
    ),
    Voice(
        dialect="vonage",
        methods=(hdrs.METH_GET, hdrs.METH_POST),
        fields={"from": "metadata.from", "to": "metadata.to", "uuid": "uuid"},
        answer=ncco,
        content_type=JSON,
        signed=_vonage_signed,
    ),
    Voice(
        dialect="exotel",
        methods=(hdrs.METH_GET,),
        fields={},
        answer=exotel_url,
        content_type=JSON,
    ),
    Voice(
        dialect="bandwidth",
        methods=(hdrs.METH_POST,),
        fields={"from": "metadata.from", "to": "metadata.to"},
        answer=bxml,
        content_type=XML,
    ),
)
