"""Are the parts whole: weights, engine, database, and the doors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from bridge.capacity import capacity_of
from bridge.cli.checkup import State
from bridge.cli.checkup_machine import writable
from bridge.cli.engine import engine_for, find_weights
from bridge.cli.serve import worries
from bridge.errors import SetupError
from bridge.model.frame import from_ms
from bridge.model.stream import Leg
from bridge.ports import Clock, DecodeJob, Urgency
from bridge.recognise.local import cores
from bridge.recognise.remote import RemoteEngine
from bridge.recordings.file import look
from bridge.samples import TWO_PARTY
from bridge.settings import Settings
from bridge.store.address import database_at, sqlite_file
from bridge.store.cipher import Cipher, key_file, secret_keys
from bridge.store.database import Database
from bridge.store.migrate import SCRIPTS
from bridge.store.sql import SqlStore

SAMPLE_MS: Final = (500, 3600)
"""Where the agent of the bundled call greets."""

SAMPLE_SAYS: Final = "good morning"


async def weights(settings: Settings, _clock: Clock) -> list[tuple[State, str]]:
    if settings.engine != "local":
        return [(State.GOOD, "on the cluster")]
    found = await asyncio.to_thread(find_weights, settings.model, settings)
    return [(State.GOOD, f"{settings.model}, checked; in {found.folder}, from {found.origin}")]


async def _engine_elsewhere(settings: Settings, clock: Clock) -> list[tuple[State, str]]:
    remote = RemoteEngine(settings.engine, clock)
    try:
        await remote.check()
    finally:
        await remote.close()
    return [(State.GOOD, f"Ray Serve answers at {settings.engine}")]


async def engine(settings: Settings, clock: Clock) -> list[tuple[State, str]]:
    """A few words of the bundled call, decoded."""
    if settings.engine != "local":
        return await _engine_elsewhere(settings, clock)
    opened = await asyncio.to_thread(engine_for, settings, clock)
    try:
        block = await asyncio.to_thread(lambda: next(look(TWO_PARTY).blocks()))
        begin, end = map(from_ms, SAMPLE_MS)
        began = clock.monotonic()
        decoded = await opened.decode(
            DecodeJob(samples=block[Leg.AGENT][begin:end], urgency=Urgency.FINAL, deadline=began)
        )
        took = clock.monotonic() - began
    finally:
        await opened.close()
    tuning, model = opened.tuning, opened.model
    apart = f", {tuning.apart} more for settled text" if tuning.apart else ""
    threads = f"{tuning.workers} × {tuning.threads} threads on {cores()} cores{apart}"
    how = f"{model.compute_type} on {model.device}, {model.decoder} decoder, {threads}"
    if decoded is None or not decoded.text:
        raise SetupError(f"{how}: speech gives no words; try other weights, or CALLBRIDGE_COMPUTE_TYPE=float32")
    if SAMPLE_SAYS not in decoded.text.casefold():
        return [(State.NOTE, f"{how}; English “{SAMPLE_SAYS} …” gives {decoded.text!r}")]
    speed = f"{(SAMPLE_MS[1] - SAMPLE_MS[0]) / 1000} s of speech decoded in {took:.2f} s"
    return [(State.GOOD, f"{how}; {speed}; up to {capacity_of(opened)} calls at once")]


async def database(settings: Settings, clock: Clock) -> list[tuple[State, str]]:
    """Reachable, of this version, and taking what is written."""
    file = sqlite_file(settings.database_url)
    kind = "PostgreSQL" if file is None else f"SQLite in {file}"
    if file is not None and not file.exists():
        writable(file.parent)
        return [(State.GOOD, f"{kind}: not there yet, the first start makes it")]
    async with _opened(settings) as opened:
        revision = await opened.read(_revision)
        scripts = ScriptDirectory(str(SCRIPTS))
        if revision is None:
            return [(State.GOOD, f"{kind}: empty, the first start makes its tables")]
        if revision not in {script.revision for script in scripts.walk_revisions()}:
            raise SetupError(f"{kind} was made by a newer callbridge: run that one here")
        if revision != scripts.get_current_head():
            return [(State.NOTE, f"{kind} is of an older version; the next start brings it up to date")]
        store = SqlStore(opened, Cipher(_secrets(settings)), clock)
        await store.ping()
        await store.check_cipher()
    return [(State.GOOD, f"{kind} answers, is up to date and can be written")]


async def access(settings: Settings, clock: Clock) -> list[tuple[State, str]]:
    """Who may come in, and under which address."""
    keys = await _keys(settings, clock)
    has_key = keys > 0 or settings.bootstrap_key is not None
    public = settings.public_url or "CALLBRIDGE_PUBLIC_URL is not set"
    return [
        (State.GOOD, f"auth {settings.auth}; {keys} API key{'' if keys == 1 else 's'}; {public}"),
        *((State.NOTE, worry) for worry in worries(settings, has_key=has_key)),
    ]


async def _keys(settings: Settings, clock: Clock) -> int:
    """How many API keys are live; 0 while the database is not made yet."""
    file = sqlite_file(settings.database_url)
    if file is not None and not file.exists():
        return 0
    async with _opened(settings) as opened:
        if await opened.read(_revision) is None:
            return 0
        keys = await SqlStore(opened, Cipher(_secrets(settings)), clock).keys(None)
    return sum(key.revoked_at is None for key in keys)


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Database]:
    """The database as it is, not migrated: a server of another version may be using it."""
    opened = database_at(settings.database_url)
    try:
        yield opened
    finally:
        await opened.close()


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _secrets(settings: Settings) -> tuple[str, ...]:
    """The installation's keys; where there are none yet, none are made."""
    if settings.secret_key is None and not key_file(settings.database_url).exists():
        return ("none yet",)
    return secret_keys(settings)
