"""Conversations of JSON messages, told by a table: which message may come when, what it says, and what comes then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any, ClassVar, Final, TypeAlias

from bridge.errors import BridgeError, CarrierProtocolError
from bridge.ingest.fields import json_object, parameters
from bridge.model.stream import Leg, StreamItem, StreamStarted, StreamStopped


class State(Enum):
    """How far a stream has come."""

    NEW = auto()
    CONNECTED = auto()
    STREAMING = auto()
    STOPPED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a conversation knows when a message comes."""

    query: Mapping[str, str]
    """Of the stream's address: the customer's own, where the carrier keeps it."""
    legs: tuple[Leg, ...] = ()
    """As the start announced them; empty before it."""


Body: TypeAlias = dict[str, Any]
Reader: TypeAlias = Callable[[Body, Known], list[StreamItem]]
Table: TypeAlias = Mapping[tuple[State, str], tuple[Reader, State]]


class TableConversation:
    """One media stream of a dialect, without its socket: messages in, values out. A dialect is a subclass."""

    TABLE: ClassVar[Table]
    """Which kinds may come in which state, how each is read, and the state behind it. Other kinds are ignored."""
    KIND: ClassVar[str] = "event"
    """The field that says what a message is."""

    def __init__(self, query: Mapping[str, str] | None = None) -> None:
        self.state = State.NEW
        self.known = Known(query=parameters(dict(query or {})))
        self._unsent: tuple[str | bytes, ...] = ()
        self._kinds: Final = frozenset(kind for _, kind in self.TABLE)

    def receive(self, message: str | bytes) -> list[StreamItem]:
        """Raises CarrierProtocolError and UnsupportedMediaError; state and output are then unchanged."""
        body = json_object(message)
        kind = body.get(self.KIND)
        if not isinstance(kind, str):
            raise CarrierProtocolError(f"a message without {self.KIND!r}")
        return self.read(kind, body)

    def read(self, kind: str, body: Body) -> list[StreamItem]:
        """What a message of this kind says now. Raises as `receive` does."""
        if kind not in self._kinds:  # carriers add kinds; a live call outlasts that
            return []
        try:
            read, after = self.TABLE[self.state, kind]
        except KeyError:
            raise CarrierProtocolError(f"{kind!r} while {self.state.name}") from None
        items = read(body, self.known)
        self.state = after  # only once the body was good
        for item in items:
            if isinstance(item, StreamStarted):
                self.known = replace(self.known, legs=item.legs)
        return items

    def say(self, message: str | bytes) -> None:
        """Put a message behind what is to be sent."""
        self._unsent += (message,)

    def to_send(self) -> list[str | bytes]:
        """As `Conversation` has it."""
        due, self._unsent = self._unsent, ()
        return list(due)

    def leave(self, fault: BridgeError | None) -> bool:
        """Most carriers are told by the socket's close alone, whatever the `fault`."""
        del fault
        return False


def once_started(readers: Mapping[str, Reader]) -> Table:
    """What may come behind a start: `readers` by kind, and the `stop`.

    What was on its way when the call ended still comes, and still counts; an end told twice is told once.
    """
    return {
        **{(State.STREAMING, kind): (read, State.STREAMING) for kind, read in readers.items()},
        **{(State.STOPPED, kind): (read, State.STOPPED) for kind, read in readers.items()},
        (State.STREAMING, "stop"): (lambda _body, _known: [StreamStopped()], State.STOPPED),
        (State.STOPPED, "stop"): (lambda _body, _known: [], State.STOPPED),
    }
