"""Calls that are not wanted any more, with everything that belongs to them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import suppress

from bridge.errors import ConflictError, NotFoundError
from bridge.model.call_key import CallKey
from bridge.model.records import CallRecord, CallStatus, Delivery, DeliveryStatus
from bridge.store.payloads import DELETED, deleted_payload
from bridge.web.context import Context
from bridge.web.webhooks import EVERYTHING


async def remove_call(context: Context, key: CallKey) -> None:
    """A recording that is not done is taken back first: its work stops. Audio goes before the rest: what is cut off in
    between is a call that can be deleted again, not a recording of none.

    Raises NotFoundError, ConflictError for a call that is in progress.
    """
    with suppress(NotFoundError, ConflictError):  # no recording, or one that is done
        await context.transcriber.cancel(*key)
        await context.transcriber.finished(*key)
    call = await context.store.call(*key)
    if call.status is CallStatus.IN_PROGRESS:
        raise ConflictError(f"call {key.call_id} is in progress")
    await context.forget(key)
    await context.store.delete_call(*key, telling=await _messages(context, call))


async def _messages(context: Context, call: CallRecord) -> Sequence[Delivery]:
    """`call.deleted`, for whoever wants it. They are of no call: that one goes with all that is its own."""
    now = context.clock.now()
    payload = deleted_payload(call, now)
    return [
        Delivery(
            id=f"msg_{secrets.token_hex(16)}",
            tenant=call.tenant,
            endpoint_id=endpoint.id,
            call_id="",
            type=DELETED,
            payload=payload,
            status=DeliveryStatus.PENDING,
            created_at=now,
            due_at=now,
        )
        for endpoint in await context.store.endpoints(call.tenant)
        if endpoint.enabled and {DELETED, EVERYTHING}.intersection(endpoint.events)
    ]
