"""A live session without its socket: what a service's dialect is told, and what it asks for in return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from bridge.compat.sound import Sound
from bridge.errors import BridgeError
from bridge.model.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """The call begins: what follows in `Hear` is `sound`. A second one changes the format, never the legs."""

    sound: Sound
    carrier: str
    carrier_call_id: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    """As a carrier's: `language`, `keywords`, `endpointing_ms`, `vad_threshold`, `partials`, `turns`, `metadata.*`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hear:
    """Audio, cut anyhow."""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalise:
    """What has been said so far is to be told now: a `speech.flushed` of every leg follows the last word of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeTurns:
    """Turns are decided otherwise from here on."""

    parameters: Mapping[str, str]
    """`eot_threshold`, `eager_eot_threshold`, `eot_timeout_ms`: what is left out stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """No more comes: what is held is told, then `call.ended`, and the socket is closed with `code`."""

    code: int = 1000
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """A text message to the client."""

    text: str


Wish: TypeAlias = Begin | Hear | Finalise | ChangeTurns | Finish | Say


class Dialect(Protocol):
    """A service's half of one session. Plain synchronous code; whatever it returns is done in order.

    `receive` raises BridgeError for what the service refuses: `fault` then says how, and the session ends.
    """

    def opened(self) -> Sequence[Wish]:
        """The socket is open."""
        ...

    def receive(self, message: str | bytes) -> Sequence[Wish]:
        """A message has come."""
        ...

    def heard(self, until_ms: int) -> Sequence[Wish]:
        """So much audio has gone into the call. The one clock a dialect needs."""
        ...

    def quiet(self, seconds: float) -> Sequence[Wish]:
        """Nothing at all has come for so long; asked once a second."""
        ...

    def tell(self, event: Event) -> Sequence[Wish]:
        """Something happened in the call."""
        ...

    def fault(self, error: BridgeError) -> Sequence[Wish]:
        """The session cannot go on: last words, a `Finish` with the close code among them."""
        ...
