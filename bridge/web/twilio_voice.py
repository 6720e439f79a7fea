"""`POST /v1/twilio/voice`: the TwiML that starts a stream, so that a Twilio number can be pointed straight at us."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

from aiohttp import web

from bridge.dialects import DIALECTS
from bridge.errors import CarrierAuthError, InvalidRequestError
from bridge.ingest.twilio_signature import body_is_signed, form_is_signed
from bridge.settings import Settings
from bridge.web.auth import DEFAULT_TENANT, Scope
from bridge.web.context import CONTEXT, Context

PATH: Final = "/v1/twilio/voice"

TOKEN_LIFETIME_S: Final = 300
"""From the TwiML to the stream's start: seconds, unless something is said first."""

LONGEST_CALL_S: Final = 4 * 3600
"""Twilio ends a call by then; until then a pause keeps it up."""

MAX_PARAMETER: Final = 500
"""Characters of a `<Parameter>`'s name and value together."""

NUMBER: Final = re.compile(r"\+?[0-9]{2,20}")

FIELDS: Final = {"From": "metadata.from", "To": "metadata.to", "CallSid": "metadata.call_sid"}
"""What the webhook knows and the stream's start does not say, and the parameter that brings it there."""

PASSED_ON: Final = re.compile(r"call_id|language|diarize|keywords|metadata\..+")
"""Query values that become the stream's parameters."""


def add_routes(app: web.Application) -> None:
    app.router.add_post(PATH, _voice)


async def _voice(request: web.Request) -> web.Response:
    """Asked by Twilio when a call comes in. `?dial=`, `?say=` and `?mode=connect` choose what else happens to it."""
    context = request.app[CONTEXT]
    form = await _form(request)
    tenant = await _tenant(request, form, context)
    query = dict(request.query)
    parameters = {name: value for name, value in query.items() if PASSED_ON.fullmatch(name)}
    parameters |= {FIELDS[name]: value for name, value in form if name in FIELDS}
    if context.settings.auth != "off":
        parameters["token"] = _token(tenant, context)
    document = twiml(_stream_url(request, context.settings), parameters, query)
    return web.Response(body=document, content_type="text/xml", charset="utf-8")


def twiml(stream_url: str, parameters: Mapping[str, str], wanted: Mapping[str, str]) -> bytes:
    """The answer to a voice webhook: `<Start>` (both parties, the call goes on) or `<Connect>` (`mode=connect`).

    Raises InvalidRequestError for what Twilio would not take.
    """
    mode, number, words = wanted.get("mode", "start"), wanted.get("dial"), wanted.get("say")
    if mode not in {"start", "connect"}:
        raise _invalid("mode", "must be start or connect")
    if number is not None and (mode == "connect" or not NUMBER.fullmatch(number)):
        raise _invalid("dial", "must be a phone number such as +15550100, and not in connect mode")
    response = ET.Element("Response")
    if mode == "connect":  # holds the call until the stream ends, so what is to be said comes first
        _say(response, words)
        _stream(ET.SubElement(response, "Connect"), {"url": stream_url}, parameters)
    else:
        _stream(ET.SubElement(response, "Start"), {"url": stream_url, "track": "both_tracks"}, parameters)
        _say(response, words)
        if number is None:  # the call ends with its last verb
            ET.SubElement(response, "Pause", length=str(LONGEST_CALL_S))
        else:
            ET.SubElement(response, "Dial").text = number
    document: bytes = ET.tostring(response, encoding="UTF-8", xml_declaration=True)
    return document


def _stream(verb: ET.Element, attributes: dict[str, str], parameters: Mapping[str, str]) -> None:
    stream = ET.SubElement(verb, "Stream", attributes)
    for name, value in parameters.items():
        if len(name) + len(value) >= MAX_PARAMETER:
            raise _invalid(name, f"name and value must stay under {MAX_PARAMETER} characters")
        ET.SubElement(stream, "Parameter", name=_plain(name), value=_plain(value))


def _say(response: ET.Element, words: str | None) -> None:
    if words:
        ET.SubElement(response, "Say").text = _plain(words)


def _plain(text: str) -> str:
    """Without the control characters that XML 1.0 cannot hold."""
    return "".join(character for character in text if character.isprintable())


async def _form(request: web.Request) -> Sequence[tuple[str, str]]:
    try:
        found: Any = await request.post()
    except (ValueError, LookupError):  # not the encoding it says, or one nobody knows
        raise InvalidRequestError("the form cannot be read", fields=[]) from None
    return [(name, value) for name, value in found.items() if isinstance(value, str)]


async def _tenant(request: web.Request, form: Sequence[tuple[str, str]], context: Context) -> str:
    """Whose call it is. Raises CarrierAuthError, UnauthorisedError, ForbiddenError."""
    secret = context.settings.twilio_auth_token
    if secret is not None:
        url = f"{_public_base(request, context.settings)}{request.path_qs}"
        key = secret.get_secret_value()
        if "bodySHA256" in request.query:
            signed = body_is_signed(key, url, await request.read(), request.headers)
        else:
            signed = form_is_signed(key, url, form, request.headers)
        if not signed:
            raise CarrierAuthError("X-Twilio-Signature is missing or wrong")
        return DEFAULT_TENANT
    principal = await context.auth.principal(request)
    principal.need(Scope.MEDIA)
    return principal.tenant


def _token(tenant: str, context: Context) -> str:
    issued = context.auth.signer.issue(
        tenant=tenant, identity="twilio", scopes=[Scope.MEDIA], lifetime_s=TOKEN_LIFETIME_S
    )
    return issued.token


def _public_base(request: web.Request, settings: Settings) -> str:
    return settings.public_url or f"{request.scheme}://{request.host}"


def _stream_url(request: web.Request, settings: Settings) -> str:
    """Twilio streams over TLS only, and drops a query string."""
    base = urlsplit(_public_base(request, settings))
    return f"wss://{base.netloc}{base.path}{DIALECTS['twilio'].path}"


def _invalid(field: str, message: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"query: {field} {message}", fields=[{"field": field, "in": "query", "message": message}]
    )
