"""Brings a database's tables to the newest form, once, whoever comes first."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, text

from bridge.errors import SetupError
from bridge.store.address import database_at

SCRIPTS: Final = Path(__file__).parent / "migrations"

LOCK: Final = 0x63616C6C
"""Under which PostgreSQL lets one process migrate at a time; "call" in ASCII."""

_alone: Final = threading.Lock()
"""Alembic's context belongs to the process."""


async def migrate(database_url: str) -> None:
    """Raises SetupError when a newer callbridge made the database, StoreError when it does not answer."""
    await asyncio.to_thread(_in_thread, database_url)


def _in_thread(database_url: str) -> None:
    with _alone:
        asyncio.run(_migrate(database_url))


async def _migrate(database_url: str) -> None:
    database = database_at(database_url)
    try:
        await database.reshape(upgrade)  # one transaction: on SQLite the others wait for that alone
    finally:
        await database.close()


def upgrade(connection: Connection, to: str = "head") -> None:
    """The tables of the version `to`. Raises SetupError when they are of a later one than there is here."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    try:
        command.upgrade(config, to)
    except CommandError as error:
        raise SetupError(f"the database was made by a newer callbridge; run that one here ({error})") from error
