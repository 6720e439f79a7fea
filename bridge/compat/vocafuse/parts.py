"""Recordings whose parts are coming in: each is one file on the disk, and every part has its place in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from bridge.compat.vocafuse.grants import LIFETIME_S, Grant
from bridge.errors import CapacityError, ConflictError, NotFoundError
from bridge.ports import Upload
from bridge.web.context import Context

MOST_OPEN: Final = 100
"""Recordings that come in parts at once; of one tenant no more than a quarter of them."""


@dataclass(slots=True)
class Coming:
    """One recording, in part."""

    upload: Upload
    tenant: str
    until: float
    """On the monotonic clock: then its addresses have lapsed."""
    came: set[int] = field(default_factory=set)
    """Numbers of the parts that are there."""
    writers: int = 0


class Pieces:
    """Of this process: what has come of a recording is lost with it, and has to be sent again."""

    def __init__(self) -> None:
        self._coming: dict[str, Coming] = {}

    @asynccontextmanager
    async def coming(self, context: Context, grant: Grant) -> AsyncIterator[Coming]:
        """What this grant's parts go into, for as long as one is written. Raises CapacityError,
        TooManyRequestsError, ConflictError, SpoolError.
        """
        self._sweep(context.clock.monotonic())
        coming = self._coming.get(grant.recording_id)
        if coming is None:
            if await _is_known(context, grant):
                raise ConflictError("This upload is complete already")
            # Another part may have come while the store was asked.
            coming = self._coming.get(grant.recording_id) or self._open(context, grant)
        coming.writers += 1
        try:
            yield coming
        finally:
            coming.writers -= 1

    def whole(self, grant: Grant) -> Upload | None:
        """The file, once every part is there and nobody writes: then it is the caller's."""
        coming = self._coming.get(grant.recording_id)
        if coming is None or coming.writers or len(coming.came) < sum(1 for _ in grant.parts()):
            return None
        return self._coming.pop(grant.recording_id).upload

    def discard(self) -> None:
        for coming in self._coming.values():
            coming.upload.discard()
        self._coming.clear()

    def _open(self, context: Context, grant: Grant) -> Coming:
        mine = sum(other.tenant == grant.tenant for other in self._coming.values())
        if mine >= MOST_OPEN // 4 or len(self._coming) >= MOST_OPEN:
            raise CapacityError("too many recordings come in at once", retry_after=30)
        until = context.clock.monotonic() + LIFETIME_S
        coming = self._coming[grant.recording_id] = Coming(
            context.transcriber.receive(grant.tenant), grant.tenant, until
        )
        return coming

    def _sweep(self, now: float) -> None:
        for recording_id, coming in [*self._coming.items()]:
            if coming.until <= now and not coming.writers:
                self._coming.pop(recording_id).upload.discard()


async def _is_known(context: Context, grant: Grant) -> bool:
    try:
        await context.transcriber.job(grant.tenant, grant.recording_id)
    except NotFoundError:
        return False
    return True


PIECES: web.AppKey[Pieces] = web.AppKey("recordings that come in parts", Pieces)
