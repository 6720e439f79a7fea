"""Bars for those who wait at a terminal, on standard error; a pipe sees nothing of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn

from bridge.ports import Clock
from bridge.recognise import weights
from bridge.recognise.local import LocalEngine, open_engine
from bridge.settings import Settings


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
def _reading(name: str) -> Iterator[weights.Progress]:
    """How much of the weights has been read; then that the model loads, which nobody can measure."""
    known = weights.KNOWN.get(name)
    with bars() as progress:
        task = progress.add_task(f"Checking the weights of {name}", total=known.size if known else None)

        def read(count: int) -> None:
            progress.advance(task, count)
            if progress.tasks[0].finished:
                progress.update(task, description="Loading the model", total=None)

        yield read


def find_weights(name: str, settings: Settings) -> weights.Found:
    """Find, join and check weights as the server would. Raises SetupError."""
    with _reading(name) as read:
        return weights.find(name, model_dir=settings.model_dir, download=settings.model_download, progress=read)


def engine_for(settings: Settings, clock: Clock) -> LocalEngine:
    """The engine that the settings name. Raises SetupError."""
    with _reading(settings.model) as read:
        return open_engine(settings, clock, read)


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
