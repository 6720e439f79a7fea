"""What the parts of the SQL store share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from bridge.ports import Clock
from bridge.pulse import Pulse
from bridge.store.cipher import Cipher
from bridge.store.database import Database
from bridge.store.terms import PostgresTerms, SqliteTerms, TermIndex

Given = ParamSpec("Given")
Answer = TypeVar("Answer")
Kind = TypeVar("Kind", bound="Part")


def whole(
    method: Callable[Concatenate[Kind, Given], Coroutine[Any, Any, Answer]],
) -> Callable[Concatenate[Kind, Given], Coroutine[Any, Any, Answer]]:
    """A caller that is cancelled is not waited for, but does not cut a statement in two either: the drivers leave such
    a connection locked, or have to throw it away. The transaction runs to its end in a task of its own.
    """

    @wraps(method)
    async def run(self: Kind, /, *args: Given.args, **kwargs: Given.kwargs) -> Answer:
        task = asyncio.create_task(method(self, *args, **kwargs))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    return run


class Part:
    """One database, what reads its secrets, and the news that deliveries have become due."""

    def __init__(self, database: Database, cipher: Cipher, clock: Clock) -> None:
        self._db = database
        self._cipher = cipher
        self._clock = clock
        self._running: set[asyncio.Task[Any]] = set()
        self._due = Pulse()
        self._wanted: set[str] = set()
        """Endpoints that a person wants tried now."""
        self._terms: TermIndex = SqliteTerms() if database.is_sqlite else PostgresTerms()

    def _want(self, endpoint_id: str) -> None:
        self._wanted.add(endpoint_id)
        self._due.send()
