"""`callbridge keys`: API keys, made and revoked at the database itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click

from bridge.cli import config_option, example, show
from bridge.clock import SystemClock
from bridge.model.events import rfc3339
from bridge.model.records import ApiKey
from bridge.ports import Store
from bridge.settings import load

T = TypeVar("T")


@click.group(epilog=example("callbridge keys create --name crm", "callbridge keys list"))
def command() -> None:
    """API keys. A running server knows of changes at once."""


@command.command(epilog=example("KEY=$(callbridge keys create --name crm)"))
@click.option("--name", required=True, help="What it is for.")
@click.option("--tenant", default="default", show_default=True, help="Whose calls it opens.")
@config_option
def create(name: str, tenant: str, config: Path | None) -> None:
    """Make a key and show it, this once, on standard output."""
    from bridge.web.keys import make_key  # noqa: PLC0415  # aiohttp and pydantic, that --help need not wait for

    async def work(store: Store) -> tuple[ApiKey, str]:
        return await make_key(store, tenant=tenant, name=name, now=SystemClock().now())

    record, key = _with_store(config, work)
    click.echo(f"Key {record.id} of tenant {record.tenant}. It is shown this once:", err=True)
    click.echo(key)


@command.command("list", epilog=example("callbridge keys list --tenant default"))
@click.option("--tenant", help="One tenant's alone.")
@config_option
def list_(tenant: str | None, config: Path | None) -> None:
    """List keys, tab-separated in a pipe."""

    async def work(store: Store) -> list[ApiKey]:
        return list(await store.keys(tenant))

    rows = [
        (key.id, key.tenant, key.name, f"{key.prefix}…", _when(key.created_at), _when(key.last_used_at), _state(key))
        for key in _with_store(config, work)
    ]
    show.table(("id", "tenant", "name", "key", "made", "last used", "state"), rows)


@command.command(epilog=example("callbridge keys revoke key_0f1e2d3c4b5a6978"))
@click.argument("key_id")
@config_option
def revoke(key_id: str, config: Path | None) -> None:
    """Revoke a key: it opens nothing any more."""

    async def work(store: Store) -> ApiKey:
        return await store.revoke_key(key_id, SystemClock().now())

    click.echo(f"{_with_store(config, work).id} is revoked.")


def _with_store(config: Path | None, work: Callable[[Store], Awaitable[T]]) -> T:
    from bridge.store.cipher import Cipher, secret_keys  # noqa: PLC0415  # as above: SQLAlchemy
    from bridge.store.sql import open_store  # noqa: PLC0415

    settings = load(config)

    async def run() -> T:
        store = await open_store(settings.database_url, Cipher(secret_keys(settings)), SystemClock())
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(run())


def _when(moment: float | None) -> str:
    return "never" if moment is None else rfc3339(moment)


def _state(key: ApiKey) -> str:
    return "live" if key.revoked_at is None else "revoked"
