"""What every dialect has in common: a handshake that has happened, and a conversation without its socket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from bridge.errors import BridgeError
from bridge.model.stream import StreamItem


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """The HTTP upgrade that opened a media socket."""

    url: str
    """As the carrier was told it: scheme `ws` or `wss`, the public host, path and query."""
    headers: Mapping[str, str]
    """Looked up without regard to case."""
    query: Mapping[str, str]


class Conversation(Protocol):
    """One carrier talking on one socket: messages in, values out, and what it is answered."""

    def receive(self, message: str | bytes) -> list[StreamItem]:
        """What a text (`str`) or binary (`bytes`) message says. The first item of a conversation is StreamStarted.

        Kinds and fields a carrier has added since are ignored. Raises CarrierError; state and output are then
        unchanged.
        """
        ...

    def to_send(self) -> list[str | bytes]:
        """What the carrier has to be told since this was asked last, in order, text (`str`) or binary (`bytes`).

        Whatever is numbered is numbered here: all of it has to be sent, as it comes.
        """
        ...

    def leave(self, fault: BridgeError | None) -> bool:
        """We end the stream, in good order or because of `fault`. What has to be said of it is then in `to_send`.

        True where the carrier has the last word: it answers, and ends the connection.
        """
        ...
