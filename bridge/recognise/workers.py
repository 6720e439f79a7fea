"""What the scheduler asks of those who decode. A window is encoded by itself, several are decoded together."""

from __future__ import annotations

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


Tell: TypeAlias = Callable[[Decoded], None]
"""Is given what a batch says, job after job."""


class Workers(Protocol[P]):
    """Where steps are done: threads over one model, or a test's script on a virtual clock.

    Cancelled, a step gives up what runs it.
    """

    @property
    def count(self) -> int:
        """Steps that can run side by side."""
        ...

    def plan(self, job: DecodeJob) -> P:
        """Raises EngineError for a job that cannot be decoded."""
        ...

    async def encode(self, plan: P) -> Encoded[P]:
        """Raises EngineError."""
        ...

    async def decode(self, batch: Sequence[Encoded[P]], tell: Tell) -> None:
        """Plans with as many previous tokens each: tell what they say in their order, each as soon as it is known.
        Raises EngineError; what has been told by then stands.
        """
        ...

    async def close(self) -> None: ...
