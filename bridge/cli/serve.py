"""`callbridge serve`: the server, until a signal stops it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import click

from bridge.cli import config_option, example
from bridge.settings import Settings, is_loopback, load
from bridge.web.context import Context

GUESSABLE: Final = 16
"""Characters below which a key can be tried out."""


@click.command(epilog=example("callbridge serve --port 8080", "CALLBRIDGE_BOOTSTRAP_KEY=… callbridge serve"))
@config_option
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.  [default: 8080]")
def command(config: Path | None, host: str | None, port: int | None) -> None:
    """Start the server. SIGTERM drains it, a second one ends it at once."""
    settings = load(config, host=host, port=port)

    from bridge import app, logs  # noqa: PLC0415  # a second's worth of imports, that --help need not wait for
    from bridge.clock import SystemClock  # noqa: PLC0415

    logs.setup(settings)
    asyncio.run(app.serve(settings, SystemClock(), ready=partial(_announce, settings)))


async def _announce(settings: Settings, url: str, context: Context) -> None:
    public = settings.public_url or url
    for name, address in {
        "Live page": f"{url}/",
        "API": f"{url}/docs",
        "Metrics": f"{url}/metrics",
        "Twilio": f"{public}/v1/twilio/voice",
    }.items():
        click.echo(f"{name + ':':<11}{address}")
    has_key = settings.bootstrap_key is not None or any(
        key.revoked_at is None for key in await context.store.keys(None)
    )
    for worry in worries(settings, has_key=has_key):
        click.secho(f"! {worry}", fg="yellow", err=True)
    keep_what_is_loaded()
    click.echo("Ready for calls.")


def keep_what_is_loaded() -> None:
    """Modules and models stay: looking through them for garbage, once in a while, would hold the loop for 60 ms."""
    gc.collect()
    gc.freeze()


def worries(settings: Settings, *, has_key: bool) -> Iterator[str]:
    """What works, but hardly as meant."""
    if settings.auth == "off":
        yield "auth is off: whoever uses this machine may read every call"
    elif not has_key:
        yield (
            "there is no API key, so nobody can come in: make one with `callbridge keys create --name me`, "
            "or set CALLBRIDGE_BOOTSTRAP_KEY"
        )
    key = settings.bootstrap_key
    if key is not None and len(key.get_secret_value()) < GUESSABLE:
        yield f"CALLBRIDGE_BOOTSTRAP_KEY can be guessed: give it {GUESSABLE} characters or more"
    signing = (settings.twilio_auth_token, settings.signalwire_signing_key, settings.plivo_auth_token)
    if settings.public_url is None and any(secret is not None for secret in signing):
        yield "CALLBRIDGE_PUBLIC_URL is not set: behind a proxy or tunnel the carrier's signatures will not fit"
    if settings.public_url is None and not is_loopback(settings.host):
        yield "CALLBRIDGE_PUBLIC_URL is not set: carriers are told the address they asked at"
    if settings.public_url is not None and settings.public_url.startswith("http://"):
        yield "CALLBRIDGE_PUBLIC_URL is not https: calls and keys cross the network in the open"
    if settings.webhook_url is not None and settings.webhook_secret is None:
        yield (
            "CALLBRIDGE_WEBHOOK_SECRET is not set: a secret was made, and "
            "POST /v1/webhooks/we_settings/rotate tells a new one"
        )
