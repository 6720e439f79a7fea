"""A call's captions as they come: on a terminal what is still being said moves below the lines that stand."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bridge.cli.progress import minutes
from bridge.model.stream import Leg

INKS: Final = {Leg.CALLER: "dark_orange3", Leg.AGENT: "dodger_blue2", Leg.MIXED: "default"}
"""The live page's: copper and cobalt."""

NAMES: Final = {Leg.CALLER: "Caller", Leg.AGENT: "Agent", Leg.MIXED: ""}

FRAMES_A_SECOND: Final = 8


class Captions:
    """Shows events of one call; a pipe gets the finals alone, a line each."""

    def __init__(self, console: Console, duration_ms: int) -> None:
        self._console = console
        self._duration_ms = duration_ms
        self._at_ms = 0.0
        self._partials: dict[Leg, Mapping[str, Any]] = {}
        self._live = Live(console=console, refresh_per_second=FRAMES_A_SECOND, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._live.stop()

    def show(self, event: Mapping[str, Any]) -> None:
        """Any event; those that are no words change nothing but what is still tentative."""
        leg = Leg(event["leg"]) if "leg" in event else None
        if leg is not None and event["type"] == "transcript.partial":
            self._partials[leg] = event
        elif leg is not None and event["type"] == "transcript.final":
            self._partials.pop(leg, None)
            line(self._console, leg, event["start_ms"], event["text"])
        elif leg is not None and event["type"] == "speech.started":
            self._partials.pop(leg, None)  # of speech that came to no words
        self._draw()

    def sent(self, milliseconds: float) -> None:
        """How much of the call has been sent."""
        self._at_ms = milliseconds
        self._draw()

    def _draw(self) -> None:
        if self._live.is_started:
            self._live.update(self._tentative())

    def _tentative(self) -> RenderableType:
        rows: list[RenderableType] = []
        for leg, partial in sorted(self._partials.items(), key=lambda item: item[1]["start_ms"]):
            stable = partial["stable_text"]
            text = Text(stable).append(partial["text"][len(stable) :], "italic dim").append(" …", "dim")
            rows.append(_row(leg, partial["start_ms"], text))
        clock = f"{minutes(self._at_ms)} of {minutes(self._duration_ms)}"
        status = Table.grid(padding=(0, 2))
        status.add_row(
            Text("  ● live", "green"),
            ProgressBar(total=self._duration_ms, completed=self._at_ms, width=30),
            Text(clock, "dim"),
        )
        return Group(*rows, Text(), status)


def line(console: Console, leg: Leg, start_ms: int, text: str) -> None:
    """One stretch of speech: when, who, what. In a pipe it is one line, however long."""
    if console.is_terminal:
        console.print(_row(leg, start_ms, Text(text)))
    else:
        console.print(f"{minutes(start_ms):>6}  {NAMES[leg]:<6}  {text}", soft_wrap=True, markup=False, emoji=False)


def _row(leg: Leg, start_ms: int, text: Text) -> Table:
    row = Table.grid(padding=(0, 2))
    row.add_column(width=6, justify="right", style="dim")
    row.add_column(width=6, style=f"bold {INKS[leg]}")
    row.add_column(overflow="fold")
    row.add_row(minutes(start_ms), NAMES[leg], text)
    return row
