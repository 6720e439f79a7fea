"""From `settings.database_url` to a database."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL, exc, make_url

from bridge.errors import SetupError
from bridge.store.database import Database
from bridge.store.postgres import PostgresDatabase
from bridge.store.sqlite import SqliteDatabase


def database_at(database_url: str) -> Database:
    """`sqlite:///FILE` or `postgresql://…`. Connects to nothing yet; a SQLite file is made.

    Raises SetupError when the address cannot be read, the file cannot be made, or the driver is not installed.
    """
    path = sqlite_file(database_url)
    if path is not None:
        return SqliteDatabase(path)
    url = _url(database_url)
    if url.get_backend_name() == "sqlite":
        raise SetupError("a SQLite database needs a file: sqlite:///var/callbridge.db")
    return PostgresDatabase(url)


def sqlite_file(database_url: str) -> Path | None:
    """The file of a SQLite address; None where there is none. Raises SetupError."""
    url = _url(database_url)
    is_file = url.get_backend_name() == "sqlite" and url.database not in {None, "", ":memory:"}
    return Path(str(url.database)) if is_file else None


def _url(database_url: str) -> URL:
    try:
        return make_url(database_url)
    except (exc.ArgumentError, ValueError):  # its words would repeat the password
        raise SetupError(
            "CALLBRIDGE_DATABASE_URL cannot be read: it must look like postgresql://USER:PASSWORD@HOST:5432/NAME, "
            "with %40 for an @ in the password"
        ) from None
