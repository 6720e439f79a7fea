"""What a carrier of any dialect says, and when: a call as messages with their times, without socket or clock."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from bridge.carrier.audio import CallAudio, EncodedAudio, encode
from bridge.errors import InvalidRequestError
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
    media_format: MediaFormat | None = None
    """What the audio is encoded in, where the dialect leaves a choice; None: what the carrier usually sends."""
    carrier_call_id: str = field(default_factory=lambda: secrets.token_hex(16))
    """32 hex digits, like `stream_id`; each dialect dresses them its own way."""
    stream_id: str = field(default_factory=lambda: secrets.token_hex(16))
    placed_at: float = field(default_factory=time.time)
    """Unix seconds, for what a carrier signs with a time."""


class CarrierSide(Protocol):
    """How one dialect is spoken by the carrier. Each is a subclass."""

    offered: tuple[MediaFormat, ...]
    """What audio can be encoded to, the usual first."""
    media_format: MediaFormat
    """What this call's audio has to be encoded to."""
    frame_ms: int
    """How much of it goes into one message."""
    legs: tuple[Leg, ...]
    """Whose voices the line carries: those of the call, or what the dialect makes of them."""
    answer: Sequence[bytes] = ()
    """What the other side has said to the caller so far: payloads in `media_format`, of one channel."""

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

    def hear(self, message: Message) -> Sequence[Message]:
        """What the other side has sent, answered at once. Most carriers answer nothing."""
        del message
        return ()

    @property
    def ready(self) -> bool:
        """Whether audio may be sent: to some carriers the other side has to say so first."""
        return True

    @property
    def parted(self) -> bool | None:
        """Whether the other side has said its last word: then the socket is closed. None where none is waited for."""
        return None


SideMaker: TypeAlias = Callable[[Dialled], CarrierSide]


def chosen_format(call: Dialled, offered: Sequence[MediaFormat]) -> MediaFormat:
    """The call's format, or the first of what the dialect offers. Raises InvalidRequestError for any other."""
    wanted = call.media_format or offered[0]
    if wanted not in offered:
        known = ", ".join(f"{each.encoding} at {each.sample_rate} Hz" for each in offered)
        raise InvalidRequestError(
            f"{wanted.encoding} at {wanted.sample_rate} Hz is not sent in this dialect; {known} are"
        )
    return wanted


def encode_for(side: CarrierSide, audio: CallAudio) -> EncodedAudio:
    """A recording as `side` puts it on the line."""
    return encode(audio.on_line(side.legs), side.media_format, frame_ms=side.frame_ms)


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
