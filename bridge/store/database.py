"""A database as the store uses it: a transaction is a plain function of a connection, run away from the event loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from sqlalchemy import ColumnElement, Connection, Table, exc
from sqlalchemy.dialects import postgresql, sqlite

from bridge.errors import InvalidRequestError, StoreError
from bridge.ports import Clock
from bridge.store.terms import TermIndex

Answer = TypeVar("Answer")


class Database(Protocol):
    """Transactions on SQLite or PostgreSQL.

    Faults come out as StoreError (try again) or InvalidRequestError (that value never will be taken). A caller that is
    cancelled is not waited for; its transaction still runs to its end, or never began.
    """

    terms: TermIndex

    async def read(self, work: Callable[[Connection], Answer]) -> Answer:
        """What `work` answers, from one consistent look."""
        ...

    async def write(self, work: Callable[[Connection], Answer]) -> Answer:
        """What `work` answers, once it is durable; what it did is undone when it raises."""
        ...

    async def reshape(self, work: Callable[[Connection], Answer]) -> Answer:
        """A `write` that may make tables anew. For a database that is used for nothing else."""
        ...

    def time(self, clock: Clock) -> ColumnElement[float]:
        """Now, in Unix seconds: the server's own, or `clock` where the database is a file."""
        ...

    async def scrub(self) -> bool:
        """A short step towards files that hold nothing of what was deleted; whether there are more to come."""
        ...

    def insert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        """An INSERT that may say what to do `on_conflict`; the engines spell it alike."""
        ...

    async def close(self) -> None:
        """Let what is under way end first."""
        ...


@contextmanager
def faults() -> Iterator[None]:
    """The driver's exceptions in our words."""
    try:
        yield
    except UnicodeEncodeError as error:  # half a surrogate pair
        raise InvalidRequestError(f"the database does not take this text: {error.reason}") from error
    except (exc.DBAPIError, exc.TimeoutError, OSError) as error:
        if isinstance(error, exc.DBAPIError) and _is_about_a_value(error):
            raise InvalidRequestError(f"the database does not take this value: {_cause(error)}") from error
        raise StoreError(f"database: {_cause(error)}") from error


def _is_about_a_value(error: exc.DBAPIError) -> bool:
    """SQLSTATE class 22 is a data exception (a NUL in PostgreSQL's text), 54 a value over some limit."""
    return str(getattr(error.orig, "sqlstate", ""))[:2] in {"22", "54"} or isinstance(error, exc.DataError)


def _cause(error: BaseException) -> str:
    """The driver's own words, without the statement: that may hold what people said."""
    origin = error.orig if isinstance(error, exc.DBAPIError) and error.orig is not None else error
    return f"{type(origin).__name__}: {origin}".splitlines()[0]
