from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from bridge.cli.captions import Captions
from bridge.model.stream import Leg


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=60, color_system=None, highlight=False)


def pipe() -> Console:
    return Console(file=io.StringIO(), width=60, highlight=False)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def partial(text: str, stable: str, leg: Leg = Leg.CALLER, start_ms: int = 2000) -> dict[str, Any]:
    return {"type": "transcript.partial", "leg": leg, "start_ms": start_ms, "text": text, "stable_text": stable}


def final(text: str, leg: Leg = Leg.CALLER, start_ms: int = 2000) -> dict[str, Any]:
    return {"type": "transcript.final", "leg": leg, "start_ms": start_ms, "text": text}


def tentative(console: Console, captions: Captions) -> str:
    """What stands below the finals now."""
    with console.capture() as capture:
        console.print(captions._tentative())
    return capture.get()


def test_a_pipe_gets_finals_alone() -> None:
    """One line each, however long: when, who, what; markup in speech is speech."""
    console = pipe()
    long = "and so on " * 20 + "[bold] and :smile:"
    with Captions(console, 60_000) as captions:
        captions.show({"type": "call.started"})
        captions.show(partial("Hello the", "Hello"))
        captions.sent(2500)
        captions.show(final("Hello there."))
        captions.show(final(long, Leg.AGENT, 61_000))
    assert printed(console).splitlines() == ["  0:02  Caller  Hello there.", f"  1:01  Agent   {long}"]


def test_what_is_being_said_stands_below() -> None:
    """Both parties' tentative text, by who began first, and how far the call is; it goes when the final comes."""
    console = terminal()
    captions = Captions(console, 60_000)
    captions.show(partial("I would like", "I would", start_ms=3000))
    captions.show(partial("One moment", "", Leg.AGENT, 2000))
    captions.sent(5000)
    rows = tentative(console, captions).splitlines()
    assert [row.split() for row in rows[:2]] == [
        ["0:02", "Agent", "One", "moment", "…"],
        ["0:03", "Caller", "I", "would", "like", "…"],
    ]
    assert "0:05 of 1:00" in rows[-1]
    captions.show(final("I would like a table.", start_ms=3000))
    assert "I would like" not in tentative(console, captions)
    assert "One moment" in tentative(console, captions)


def test_speech_that_came_to_nothing() -> None:
    """A tentative text without a final goes when the same party begins anew."""
    console = terminal()
    captions = Captions(console, 60_000)
    captions.show(partial("Hmm", ""))
    captions.show({"type": "speech.started", "leg": "agent", "at_ms": 4000})
    assert "Hmm" in tentative(console, captions)
    captions.show({"type": "speech.started", "leg": "caller", "at_ms": 4000})
    assert "Hmm" not in tentative(console, captions)


def test_a_terminal_is_left_tidy() -> None:
    """In the end only the finals stand, and the cursor is shown again."""
    console = terminal()
    with Captions(console, 60_000) as captions:
        captions.show(partial("Hello", ""))
        captions.show(final("Hello there."))
        captions.show(partial("And", ""))
    assert printed(console).endswith("\x1b[?25h") or "\x1b[?25h" in printed(console)
    assert "Hello there." in printed(console)
