"""A call's own callback: an address that is told of this one call, by the outbox that tells endpoints of all.

Callbacks to one host share an endpoint, made when the first is asked for: it is tried, spared, listed and deleted as
any other, so a host that hangs delays no other however many calls name it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from yarl import URL

from bridge.deliver.guard import Guard
from bridge.deliver.signing import new_secret
from bridge.errors import ConflictError, NotFoundError
from bridge.model.call_key import CallKey
from bridge.model.records import Endpoint, Subscription
from bridge.ports import EndpointStore

ENDED: Final = ("call.completed", "call.failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """Where a call's events go, and how they are written."""

    url: str
    events: Sequence[str] = ENDED
    secret: str | None = None
    """Signs them; None: the endpoint's own, which its owner can have made anew."""
    style: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    """What that style wants to know. Callbacks with other options have another endpoint."""


async def call_back(
    store: EndpointStore, guard: Guard, key: CallKey, wanted: Callback, *, now: float, most: int
) -> Subscription:
    """Before the call begins. `most` endpoints may a tenant have.

    Raises InvalidRequestError for an address that may not be called, ConflictError when there are `most` endpoints.
    """
    guard.check_url(wanted.url)
    endpoint = await _endpoint(store, key.tenant, wanted, now=now, most=most)
    subscribed = Subscription(
        tenant=key.tenant,
        call_id=key.call_id,
        endpoint_id=endpoint.id,
        events=tuple(wanted.events),
        url=wanted.url,
    )
    await store.subscribe(subscribed)
    return subscribed


async def _endpoint(store: EndpointStore, tenant: str, wanted: Callback, *, now: float, most: int) -> Endpoint:
    """That of the address's host; one that a receiver's 410 has disabled is wanted again."""
    host = str(URL(wanted.url).origin())
    options = [part for pair in sorted(wanted.options.items()) for part in pair]
    named = "\n".join((tenant, host, wanted.style, wanted.secret or "", *options))
    endpoint_id = f"we_{hashlib.sha256(named.encode()).hexdigest()[:24]}"
    with suppress(NotFoundError):
        found = await store.endpoint(tenant, endpoint_id)
        if not found.enabled:
            found = await store.update_endpoint(tenant, endpoint_id, {"enabled": True, "disabled_reason": None})
        return found
    if len(await store.endpoints(tenant)) >= most:
        raise ConflictError(f"there are {most} webhook endpoints already; delete one first")
    with suppress(ConflictError):  # another call's callback has just made it
        await store.create_endpoint(
            Endpoint(
                id=endpoint_id,
                tenant=tenant,
                url=host,
                events=(),
                secrets=(wanted.secret or new_secret(),),
                enabled=True,
                created_at=now,
                description="callbacks of single calls",
                style=wanted.style,
                options=wanted.options,
            )
        )
    return await store.endpoint(tenant, endpoint_id)
