"""Calls that are not wanted any more, with everything that belongs to them."""

from __future__ import annotations

from contextlib import suppress

from bridge.errors import ConflictError, NotFoundError
from bridge.model.call_key import CallKey
from bridge.model.records import CallStatus
from bridge.web.context import Context


async def remove_call(context: Context, key: CallKey) -> None:
    """A recording that is not done is taken back first: its work stops. Audio goes before the rest: what is cut off in
    between is a call that can be deleted again, not a recording of none.

    Raises NotFoundError, ConflictError for a call that is in progress.
    """
    with suppress(NotFoundError, ConflictError):  # no recording, or one that is done
        await context.transcriber.cancel(*key)
        await context.transcriber.finished(*key)
    if (await context.store.call(*key)).status is CallStatus.IN_PROGRESS:
        raise ConflictError(f"call {key.call_id} is in progress")
    await context.forget(key)
    await context.store.delete_call(*key)
