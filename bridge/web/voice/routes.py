"""`/v1/{carrier}/voice`: what starts a stream, so that a carrier's number can be pointed straight at us."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from bridge.dialects import DIALECTS, Proof
from bridge.errors import CarrierAuthError, CarrierProtocolError, InvalidRequestError
from bridge.ingest.fields import json_object, parameters
from bridge.settings import Settings
from bridge.web.address import public_base
from bridge.web.auth import DEFAULT_TENANT, Scope
from bridge.web.authorization import as_bearer
from bridge.web.context import CONTEXT, Context
from bridge.web.voice.asked import Asked
from bridge.web.voice.table import VOICES, Voice, Webhook

TOKEN_LIFETIME_S: Final = 300
"""From the answer to the stream's start: seconds, unless something is said first."""

PASSED_ON: Final = re.compile(r"call_id|language|diarize|keywords|byte_order|metadata\..+")
"""Query values that become the stream's parameters."""

PROOFS: Final = (Proof.BEARER, Proof.BASIC)
"""Beside a signature and `?token=`: any carrier's console takes `https://user:password@…`."""


def add_routes(app: web.Application) -> None:
    """A route for every carrier in the table."""
    for voice in VOICES:
        for method in voice.methods:
            app.router.add_route(method, voice.path, partial(_voice, voice=voice))


async def _voice(request: web.Request, *, voice: Voice) -> web.Response:
    """Asked when a call comes in. `?dial=`, `?say=` and `?mode=connect` choose what else happens to it."""
    context = request.app[CONTEXT]
    webhook = await _webhook(request, context.settings)
    tenant = await _tenant(request, webhook, voice, context)
    given = {name: value for name, value in webhook.query.items() if PASSED_ON.fullmatch(name)}
    given |= {voice.fields[name]: value for name, value in webhook.fields if name in voice.fields}
    asked = Asked.of(
        webhook.query,
        stream_url=_stream_url(request, voice, context.settings),
        parameters=given,
        token=None if context.settings.auth == "off" else _token(tenant, voice, context),
    )
    return web.Response(body=voice.answer(asked), content_type=voice.content_type, charset="utf-8")


async def _webhook(request: web.Request, settings: Settings) -> Webhook:
    """Raises InvalidRequestError for a body that is not what it says."""
    body = await request.read()
    form = await _form(request)
    if request.method == hdrs.METH_GET:
        fields: Sequence[tuple[str, str]] = list(request.query.items())
    elif request.content_type == "application/json":
        fields = list(_json_fields(body).items())
    else:
        fields = form
    return Webhook(
        url=f"{public_base(request, settings)}{request.path_qs}",
        query=dict(request.query),
        headers=request.headers,
        body=body,
        form=form,
        fields=fields,
    )


async def _form(request: web.Request) -> Sequence[tuple[str, str]]:
    try:
        found: Any = await request.post()
    except (ValueError, LookupError):  # not the encoding it says, or one nobody knows
        raise InvalidRequestError("the form cannot be read", fields=[]) from None
    return [(name, value) for name, value in found.items() if isinstance(value, str)]


def _json_fields(body: bytes) -> Mapping[str, str]:
    try:
        return parameters(json_object(body.decode()))
    except (CarrierProtocolError, ValueError):
        raise InvalidRequestError("the body is no JSON object", fields=[]) from None


async def _tenant(request: web.Request, webhook: Webhook, voice: Voice, context: Context) -> str:
    """Whose call it is. Raises CarrierAuthError, UnauthorisedError, ForbiddenError."""
    signed = voice.signed(webhook, context.settings, context.clock.now())
    if signed is False:
        raise CarrierAuthError("the signature of this webhook is missing or wrong")
    if signed:
        return DEFAULT_TENANT
    authorization = as_bearer(webhook.headers.get(hdrs.AUTHORIZATION, ""), PROOFS)
    principal = await context.auth.principal(request, authorization=authorization)
    principal.need(Scope.MEDIA)
    return principal.tenant


def _token(tenant: str, voice: Voice, context: Context) -> str:
    issued = context.auth.signer.issue(
        tenant=tenant, identity=voice.dialect, scopes=[Scope.MEDIA], lifetime_s=TOKEN_LIFETIME_S
    )
    return issued.token


def _stream_url(request: web.Request, voice: Voice, settings: Settings) -> str:
    """Carriers stream over TLS only."""
    base = urlsplit(public_base(request, settings))
    return f"wss://{base.netloc}{base.path}{DIALECTS[voice.dialect].path}"
