"""Bars for those who wait at a terminal, on standard error; a pipe sees nothing of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn


def bars(*columns: ProgressColumn) -> Progress:
    """A description, a bar and `columns`; gone when done."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *columns,
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


@contextmanager
def audio_bar(description: str, duration_ms: int) -> Iterator[Callable[[int], None]]:
    """Shows how much audio is done, and how many times faster than it was spoken."""
    with bars(
        TextColumn("{task.fields[clock]} of {task.fields[whole]}"), TextColumn("{task.fields[pace]}")
    ) as progress:
        task = progress.add_task(description, total=duration_ms, clock=minutes(0), whole=minutes(duration_ms), pace="")

        def done(milliseconds: int) -> None:
            elapsed = progress.tasks[0].elapsed or 0
            pace = f"{milliseconds / 1000 / elapsed:.0f} × real time" if elapsed > 1 else ""
            progress.update(task, completed=milliseconds, clock=minutes(milliseconds), pace=pace)

        yield done


def minutes(milliseconds: float) -> str:
    """`1:05`, or `1:02:03` from an hour on."""
    whole, seconds = divmod(int(milliseconds // 1000), 60)
    hours, left = divmod(whole, 60)
    return f"{hours}:{left:02}:{seconds:02}" if hours else f"{left}:{seconds:02}"
