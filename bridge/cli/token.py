"""`callbridge token`: a short-lived token, signed with the installation's own key; no server need run."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from bridge.cli import config_option, example
from bridge.clock import SystemClock
from bridge.model.events import rfc3339
from bridge.settings import load

SCOPES: Final = ("calls:read", "calls:write", "media", "speakers", "upload", "webhooks")
DEFAULT_SCOPES: Final = ("calls:read", "media")
YEAR_S: Final = 366 * 86_400


@click.command(epilog=example("TOKEN=$(callbridge token --identity front-desk --expires 600)"))
@click.option("--identity", required=True, help="Whom it is made out to.")
@click.option("--expires", default=3600, show_default=True, type=click.IntRange(1, YEAR_S), help="Seconds it is good.")
@click.option("--tenant", default="default", show_default=True, help="Whose calls it opens.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    default=DEFAULT_SCOPES,
    show_default=True,
    help="What it may do; may be given again.",
)
@config_option
def command(identity: str, expires: int, tenant: str, scopes: tuple[str, ...], config: Path | None) -> None:
    """Make a token and show it on standard output. It cannot be taken back: keep it short-lived."""
    from bridge.store.cipher import secret_keys  # noqa: PLC0415  # a second's imports, that --help need not wait for
    from bridge.web.auth import Scope, TokenSigner  # noqa: PLC0415

    signer = TokenSigner(secret_keys(load(config)), SystemClock())
    made = signer.issue(tenant=tenant, identity=identity, scopes=[Scope(scope) for scope in scopes], lifetime_s=expires)
    click.echo(f"Good until {rfc3339(made.expires_at)} for {', '.join(made.scopes)}:", err=True)
    click.echo(made.token)
