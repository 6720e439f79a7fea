"""Tables on a terminal, plain lines in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import click


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Ruled for people; for programs a line a row, tab-separated, without a heading."""
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(row))
        return
    from rich.console import Console  # noqa: PLC0415  # only where it shows
    from rich.table import Table  # noqa: PLC0415

    ruled = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        ruled.add_column(column, overflow="fold")
    for row in rows:
        ruled.add_row(*row)
    Console().print(ruled)
