"""What the scheduler asks of those who decode. A window is encoded by itself, several are decoded together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from bridge.ports import Decoded, DecodeJob


class Planned(Protocol):
    """A job as the decoder will run it."""

    @property
    def job(self) -> DecodeJob: ...

    @property
    def window_s(self) -> int:
        """Seconds of audio, padding included."""
        ...

    @property
    def previous_tokens(self) -> int:
        """Tokens in front of the start token. Plans that agree in it can be decoded together."""
        ...


P = TypeVar("P", bound=Planned)


@dataclass(frozen=True, slots=True)
class Encoded(Generic[P]):
    """A plan that can be decoded."""

    plan: P
    states: Any
    """The encoder's, for the decoder alone."""


Tell: TypeAlias = Callable[[int, Decoded], None]
"""Is given what a job says, and its place in its batch, those that joined it behind the others."""


class Joining(Generic[P]):
    """Jobs that join a decode while it runs: its scheduler adds them, its worker takes them, each in a thread."""

    def __init__(self, room: int) -> None:
        """For so many in all."""
        self._room = room
        self._coming: list[Encoded[P]] = []
        self._lock = threading.Lock()

    def add(self, encoded: Encoded[P]) -> bool:
        """Whether it will be decoded."""
        with self._lock:
            if not self._room:
                return False
            self._room -= 1
            self._coming.append(encoded)
            return True

    def taken(self, is_last: bool) -> Sequence[Encoded[P]]:
        """Those added since. When it is the last time, and there are none, no more can be."""
        with self._lock:
            coming, self._coming = self._coming, []
            if is_last and not coming:
                self._room = 0
            return coming


class Workers(Protocol[P]):
    """Where steps are done: threads over one model, or a test's script on a virtual clock.

    Cancelled, a step gives up what runs it.
    """

    @property
    def count(self) -> int:
        """Steps that can run side by side."""
        ...

    @property
    def apart(self) -> int:
        """Steps that can run beside those, with what they leave of the processor: for jobs that nobody waits for."""
        ...

    @property
    def joins(self) -> bool:
        """Whether jobs can join a decode that runs."""
        ...

    def plan(self, job: DecodeJob) -> P:
        """Raises EngineError for a job that cannot be decoded."""
        ...

    async def encode(self, plan: P, *, apart: bool = False) -> Encoded[P]:
        """Raises EngineError."""
        ...

    async def decode(
        self, batch: Sequence[Encoded[P]], tell: Tell, joining: Joining[P], *, apart: bool = False
    ) -> None:
        """Plans with as many previous tokens each, and those that join them: tell what each says, once, as soon as it
        is known. Raises EngineError; what has been told by then stands.
        """
        ...

    async def close(self) -> None: ...
