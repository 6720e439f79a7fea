"""Checks of an installation: what a finding is, and how a check that fails is one too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from bridge.errors import BridgeError
from bridge.ports import Clock
from bridge.settings import Settings


class State(StrEnum):
    """A note is no fault, but worth knowing."""

    GOOD = "good"
    NOTE = "note"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. A fault's says what to do about it."""

    name: str
    state: State
    message: str


Check = Callable[[Settings, Clock], Awaitable[list[tuple[State, str]]]]
"""Looks and tries, and changes nothing that a running server needs. Faults are raised, as BridgeError."""


async def examine(name: str, check: Check, settings: Settings, clock: Clock) -> list[Finding]:
    """What a check finds. Never raises: the other checks are still worth their while."""
    try:
        return [Finding(name, state, message) for state, message in await check(settings, clock)]
    except BridgeError as error:
        return [Finding(name, State.FAULT, error.message)]
    except Exception as error:  # noqa: BLE001  # whatever it is, the reader wants to know
        return [Finding(name, State.FAULT, f"the check itself failed: {type(error).__name__}: {error}")]
