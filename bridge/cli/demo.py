"""`callbridge demo`: a real call comes in, is seen as captions, kept, and told to a webhook receiver that checks it."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Final

import click
from rich.console import Console
from rich.table import Column, Table

from bridge.bench.calls import read_fixture
from bridge.bench.child import child_server
from bridge.bench.load import Server
from bridge.cli import example
from bridge.cli.demo_call import CALL_ID, Verdict, show_call
from bridge.cli.engine import find_weights
from bridge.cli.progress import minutes
from bridge.cli.webhook_receiver import Receiver
from bridge.clock import SystemClock
from bridge.deliver.signing import new_secret
from bridge.samples import TWO_PARTY
from bridge.settings import PREFIX, load

KEPT: Final = frozenset({"model", "model_dir", "model_download", "device", "compute_type"})
"""Settings of the environment that hold in the demo too; all others are as in a fresh installation."""

NEXT: Final = {
    "a key of yours": "{callbridge} keys create --name me",
    "the server": "{callbridge} serve",
    "a recording": "{callbridge} play call.wav --to ws://127.0.0.1:8080/v1/media/twilio --token KEY",
}
"""`callbridge` is whatever was typed to get here: nothing says that it is on the path."""


@click.command(epilog=example("callbridge demo"))
def command() -> None:
    """Take a call of 78 seconds as Twilio sends it, and show what comes of it. Needs nothing, and leaves nothing.

    Status 0: captions came while people spoke, the transcript was kept, the webhook came signed, the page was there.
    """
    console = Console(highlight=False)
    _forget_settings()
    settings = load()
    found = find_weights(settings.model, settings)  # here, because joining them may take a while and can be watched
    _fact(console, "Weights", f"{settings.model}, checked; {found.origin}")
    verdict = asyncio.run(_demo(console))
    console.print()
    for happened, name, words in verdict.rows:
        _row(console, "[green]✓[/]" if happened else "[red]✗[/]", f"{name:<10}", words)
    if not verdict.good:
        raise click.exceptions.Exit(1)
    console.print("\nTo go on:")
    for what, typed in NEXT.items():
        console.print(f"  [dim]{what:<16}[/]{typed.format(callbridge=sys.argv[0])}", soft_wrap=True)


async def _demo(console: Console) -> Verdict:
    clock = SystemClock()
    call = await asyncio.to_thread(read_fixture, TWO_PARTY)
    async with Receiver(new_secret(), clock).listening() as receiver:
        with console.status("Starting the server and loading the model …") as starting:
            settings = {
                "CALLBRIDGE_WEBHOOK_URL": receiver.url,
                "CALLBRIDGE_WEBHOOK_SECRET": receiver.secret,
                "CALLBRIDGE_ALLOW_PRIVATE_URLS": "127.0.0.1",
            }
            async with child_server(settings) as server:
                starting.stop()
                _tell_where(console, server, receiver)
                console.print(f"\nA call comes in as Twilio sends it: {minutes(call.duration_ms)}, two voices, live\n")
                return await show_call(server, call, receiver, console, clock)


def _forget_settings() -> None:
    """The server inherits the environment."""
    for name in [name for name in os.environ if name.upper().startswith(PREFIX)]:
        if name.upper().removeprefix(PREFIX).lower() not in KEPT:
            del os.environ[name]


def _tell_where(console: Console, server: Server, receiver: Receiver) -> None:
    _fact(console, "Server", f"{server.url}, with SQLite and the engine in its own process")
    _fact(console, "Webhooks", f"to {receiver.url}")
    _fact(console, "Live page", f"{server.url}/?call={CALL_ID}")
    _fact(console, "with key", server.key)


def _fact(console: Console, name: str, words: str) -> None:
    console.print(f"[dim]{name:<11}[/]{words}", soft_wrap=True)


def _row(console: Console, *cells: str) -> None:
    """Cells side by side, each folded in its own column; in a pipe one line, however long."""
    if not console.is_terminal:
        console.print("  ".join(cells), soft_wrap=True)
        return
    row = Table.grid(*(Column(no_wrap=number + 1 < len(cells)) for number in range(len(cells))), padding=(0, 2))
    row.add_row(*cells)
    console.print(row)
