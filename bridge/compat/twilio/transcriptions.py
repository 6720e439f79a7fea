"""`POST /2010-04-01/Accounts/AC…/Calls/CA…/Transcriptions.json`: Real-Time Transcriptions of a call, begun and ended.

Twilio's documentation, "Real-Time Transcriptions Resource". A transcription is a callback of one call; what is needed
to end it stands in its first message.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final

from aiohttp import hdrs, web

from bridge.compat.twilio.messages import ACCOUNT, BOTH, OPTIONS, STYLE, TRACKS, call_sid, transcription_sid
from bridge.deliver.callback import Callback, call_back
from bridge.deliver.guard import Guard
from bridge.deliver.style import METHOD
from bridge.dialects import Proof
from bridge.errors import InvalidRequestError, NotFoundError, UnauthorisedError
from bridge.model.events import rfc3339
from bridge.model.records import (
    CallFilter,
    CallRecord,
    CallStatus,
    Delivery,
    DeliveryFilter,
    DeliveryStatus,
    Endpoint,
    Subscription,
)
from bridge.web.auth import Principal, Scope
from bridge.web.authorization import as_bearer
from bridge.web.context import Context

TOLD: Final = ("transcript.final", "call.completed", "call.failed")
STARTED, STOPPED = "call.started", "call.completed"
METHODS: Final = ("POST", "GET")
MOST_CALLS: Final = 200
"""In progress, that are looked through for one whose carrier gave it no id of Twilio's form."""
MOST_NAME: Final = 256


async def start(request: web.Request, context: Context) -> web.StreamResponse:
    principal, token = await _admit(request, context)
    call = await _call(request, context, principal.tenant)
    form = {name: str(value) for name, value in (await request.post()).items()}
    wanted = _wanted(form, token, request.match_info["account"])
    guard, most = Guard(context.settings.allow_private_urls), context.settings.tenant_max_webhooks
    now = context.clock.now()
    made = await call_back(context.store, guard, call.key, wanted, now=now, most=most)
    endpoint = await context.store.endpoint(principal.tenant, made.endpoint_id)
    name = form.get("Name") or transcription_sid(endpoint, call.call_id)
    data = {
        "call_id": call.call_id,
        "carrier_call_id": call.carrier_call_id,
        "legs": [leg.value for leg in call.legs],
        "seq": max(1, call.last_seq),
        "name": name[:MOST_NAME],
    }
    await context.store.add(_message(STARTED, data, endpoint, made.url, now))
    return _answer(request, endpoint, call, name, "in-progress", now, status=201)


async def stop(request: web.Request, context: Context) -> web.StreamResponse:
    """By its sid or its name."""
    principal, _ = await _admit(request, context)
    call = await _call(request, context, principal.tenant)
    if (await request.post()).get("Status") != "stopped":
        raise InvalidRequestError("Status must be stopped")
    endpoint, begun = await _begun(context, call, request.match_info["sid"])
    where = begun.url or endpoint.url
    made = Subscription(tenant=call.tenant, call_id=call.call_id, endpoint_id=endpoint.id, events=TOLD, url=where)
    await context.store.unsubscribe(made)
    now = context.clock.now()
    data = {"call_id": call.call_id, "carrier_call_id": call.carrier_call_id, "last_seq": call.last_seq}
    await context.store.add(_message(STOPPED, data, endpoint, where, now))
    return _answer(request, endpoint, call, begun.payload["data"]["name"], "stopped", now)


async def _admit(request: web.Request, context: Context) -> tuple[Principal, str]:
    """Who asks, and the auth token that signs what they hear. Raises UnauthorisedError, ForbiddenError."""
    shown = as_bearer(request.headers.get(hdrs.AUTHORIZATION, ""), (Proof.BASIC,))
    if not shown:
        raise UnauthorisedError("Authenticate")
    principal = await context.auth.principal(request, authorization=shown)
    for scope in (Scope.CALLS_READ, Scope.WEBHOOKS):
        principal.need(scope)
    return principal, shown.partition(" ")[2]


async def _call(request: web.Request, context: Context, tenant: str) -> CallRecord:
    """The one in progress. Raises NotFoundError."""
    wanted = request.match_info["call"]
    going_on = CallFilter(status=CallStatus.IN_PROGRESS)
    named = CallFilter(status=CallStatus.IN_PROGRESS, carrier_call_id=wanted)
    for each in (named, going_on):
        for call in (await context.store.calls(tenant, each, cursor=None, limit=MOST_CALLS)).calls:
            if call_sid(call.call_id, call.carrier_call_id) == wanted:
                return call
    raise NotFoundError("The requested resource was not found: no such call is in progress")


def _wanted(form: Mapping[str, str], token: str, account: str) -> Callback:
    """Raises InvalidRequestError."""
    url = form.get("StatusCallbackUrl")
    if not url:
        raise InvalidRequestError("StatusCallbackUrl is needed: it is where the words go")
    method = form.get("StatusCallbackMethod", "POST").upper()
    if method not in METHODS:
        raise InvalidRequestError("StatusCallbackMethod must be POST or GET")
    if form.get("Track", BOTH) not in {BOTH, *TRACKS.values()}:
        raise InvalidRequestError("Track must be inbound_track, outbound_track or both_tracks")
    kept = {name: form[name] for name in OPTIONS if form.get(name)}
    options = {METHOD: method, ACCOUNT: account, **kept}
    return Callback(url=url, events=TOLD, secret=token, style=STYLE, options=options)


async def _begun(context: Context, call: CallRecord, wanted: str) -> tuple[Endpoint, Delivery]:
    """The transcription of that sid or name, with its first message. Raises NotFoundError."""
    for endpoint in await context.store.endpoints(call.tenant):
        if endpoint.style != STYLE or METHOD not in endpoint.options:
            continue
        mine = DeliveryFilter(call_id=call.call_id)
        told = (
            await context.store.deliveries(call.tenant, endpoint.id, mine, cursor=None, limit=MOST_CALLS)
        ).deliveries
        for begun in told:
            name = begun.payload["data"].get("name")
            if begun.type == STARTED and wanted in {name, transcription_sid(endpoint, call.call_id)}:
                return endpoint, begun
    raise NotFoundError("The requested resource was not found: no such transcription was begun")


def _message(kind: str, data: Mapping[str, Any], endpoint: Endpoint, url: str, now: float) -> Delivery:
    return Delivery(
        id=f"msg_{secrets.token_hex(16)}",
        tenant=endpoint.tenant,
        endpoint_id=endpoint.id,
        call_id=data["call_id"],
        type=kind,
        payload={"type": kind, "timestamp": rfc3339(now), "data": data},
        status=DeliveryStatus.PENDING,
        created_at=now,
        due_at=now,
        url=url,
    )


def _answer(  # noqa: PLR0917  # what an answer is made of
    request: web.Request, endpoint: Endpoint, call: CallRecord, name: str, state: str, now: float, *, status: int = 200
) -> web.Response:
    sid = transcription_sid(endpoint, call.call_id)
    account, of = request.match_info["account"], request.match_info["call"]
    body = {
        "sid": sid,
        "account_sid": account,
        "call_sid": of,
        "name": name,
        "status": state,
        "date_updated": format_datetime(datetime.fromtimestamp(now, UTC)),
        "uri": f"/2010-04-01/Accounts/{account}/Calls/{of}/Transcriptions/{sid}.json",
    }
    return web.json_response(body, status=status)
