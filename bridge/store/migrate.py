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
from bridge.store.database import connect, faults

SCRIPTS: Final = Path(__file__).parent / "migrations"

LOCK: Final = 0x63616C6C
"""Under which PostgreSQL lets one process migrate at a time; "call" in ASCII."""


_alone: Final = threading.Lock()
"""Alembic's context belongs to the process."""


async def migrate(database_url: str) -> None:
    """Raises SetupError when a newer callbridge made the database, StoreError when it does not answer."""
    await asyncio.to_thread(_migrate_in_thread, database_url)


def _migrate_in_thread(database_url: str) -> None:
    with _alone:
        asyncio.run(_migrate(database_url))


async def _migrate(database_url: str) -> None:
    engine = connect(database_url, pooled=False)
    try:
        with faults():
            async with engine.connect() as connection:
                await connection.execution_options(immediate=True)  # SQLite: the others wait here
                async with connection.begin():
                    if engine.dialect.name == "postgresql":
                        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
                    await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise SetupError(f"the database was made by a newer callbridge; run that one here ({error})") from error
