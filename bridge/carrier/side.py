"""What a carrier of any dialect says, and when: a call as messages with their times, without socket or clock."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from bridge.carrier.audio import EncodedAudio
from bridge.model.stream import Leg, MediaFormat

Message: TypeAlias = str | bytes
"""A text or a binary WebSocket message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialled:
    """A call about to be placed."""

    legs: tuple[Leg, ...]
    parameters: Mapping[str, str] = field(default_factory=dict)
    token: str | None = None
    """A bridge credential, sent where the dialect can carry one."""
    secret: str | None = None
    """What the carrier signs its upgrade with."""
    carrier_call_id: str = field(default_factory=lambda: secrets.token_hex(16))
    """32 hex digits, like `stream_id`; each dialect dresses them its own way."""
    stream_id: str = field(default_factory=lambda: secrets.token_hex(16))


class CarrierSide(Protocol):
    """How one dialect is spoken by the carrier."""

    media_format: MediaFormat
    """What audio has to be encoded to."""

    def headers(self, url: str) -> Mapping[str, str]:
        """What goes with the upgrade to `url`."""
        ...

    def opening(self) -> Sequence[Message]:
        """Said once the socket is open."""
        ...

    def media(self, at_ms: int, payloads: Mapping[Leg, bytes]) -> Sequence[Message]:
        """One frame of every leg, whose first sample lies at `at_ms`."""
        ...

    def key(self, leg: Leg, digit: str) -> Sequence[Message]:
        """A key has been pressed on the phone of `leg`."""
        ...

    def closing(self) -> Sequence[Message]:
        """Said at the end, before the socket is closed."""
        ...


SideMaker: TypeAlias = Callable[[Dialled], CarrierSide]


@dataclass(frozen=True, slots=True)
class Key:
    """A key to be pushed during a call, `at_ms` after its start."""

    at_ms: float
    leg: Leg
    digit: str


@dataclass(frozen=True, slots=True)
class Timed:
    """A message and when it is due, in ms since the call's start. `frame` is the number of the frame it carries."""

    due_ms: float
    message: Message
    frame: int | None = None


def conversation(side: CarrierSide, audio: EncodedAudio, keys: Sequence[Key] = ()) -> Iterator[Timed]:
    """The whole call in order. A frame is due when its last sample has been spoken, as in life."""
    for message in side.opening():
        yield Timed(0, message)
    waiting = sorted(keys, key=lambda key: key.at_ms, reverse=True)
    due_ms = 0
    for number, payloads in enumerate(audio.frames):
        due_ms = (number + 1) * audio.frame_ms
        while waiting and waiting[-1].at_ms < due_ms:
            pushed = waiting.pop()
            for message in side.key(pushed.leg, pushed.digit):
                yield Timed(due_ms, message)
        for message in side.media(number * audio.frame_ms, payloads):
            yield Timed(due_ms, message, number)
    for message in side.closing():
        yield Timed(due_ms, message)
