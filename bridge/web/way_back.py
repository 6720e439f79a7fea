"""The way back to a carrier: what whoever speaks on a call needs of its line, whatever that is made of."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from bridge.model.stream import StreamStarted
from bridge.ports import Clock
from bridge.talk.replies import FRAME_MS, Message
from callcodecs.rtp import RtpPacket

PAUSE_S: Final = 0.1
"""After so long without a packet, the next one begins a stretch of speech (RFC 3551 §4.1)."""


class Talker(Protocol):
    """Whoever speaks to the carrier."""

    def reached(self, mark: str) -> None:
        """It has played all that was sent before this mark, or dropped it."""
        ...

    def hold(self, held: bool) -> None:
        """It takes no more for now, or does again."""
        ...

    @property
    def speaks(self) -> bool:
        """Whether anything is to be heard of it now."""
        ...


class WayBack(Protocol):
    """A line on which a carrier is heard, and may be spoken to."""

    tenant: str
    talker: Talker | None
    """Who speaks on it."""

    @property
    def stream(self) -> StreamStarted | None:
        """As the carrier has started it."""
        ...

    @property
    def live(self) -> bool:
        """Whether a stream has started and is still heard."""
        ...

    async def over(self) -> None:
        """Returns when nothing more is heard."""
        ...

    async def say(self, messages: Sequence[Message]) -> None:
        """Send what is to be played, or done about it."""
        ...


class PacketsBack:
    """On a line of RTP: payloads of 20 ms become packets of a source of our own (RFC 3550 §5.1), for `send`."""

    def __init__(
        self,
        stream: StreamStarted,
        payload_type: int,
        clock_rate: int,
        *,
        tenant: str,
        clock: Clock,
        send: Callable[[bytes], Awaitable[None]],
        heard_out: asyncio.Event,
    ) -> None:
        """`clock_rate` is RTP's; `heard_out` is set when nothing more is heard."""
        self.stream = stream
        self.tenant = tenant
        self.talker: Talker | None = None
        self._payload_type = payload_type
        self._clock_rate = clock_rate
        self._clock = clock
        self._send = send
        self._ssrc = secrets.randbits(32)
        self._sequence = secrets.randbits(16)
        self._timestamp = secrets.randbits(32)
        self._due_at: float | None = None
        """When the packet behind the last one is."""
        self._heard_out = heard_out

    @property
    def live(self) -> bool:
        return not self._heard_out.is_set()

    async def over(self) -> None:
        await self._heard_out.wait()

    async def say(self, messages: Sequence[Message]) -> None:
        for message in messages:
            await self._send(self._packet(message.encode() if isinstance(message, str) else message))

    def _packet(self, payload: bytes) -> bytes:
        now = self._clock.monotonic()
        begins = self._due_at is None or now - self._due_at > PAUSE_S
        if begins or self._due_at is None:
            self._timestamp += 0 if self._due_at is None else round((now - self._due_at) * self._clock_rate)
            self._due_at = now
        packet = RtpPacket(
            payload_type=self._payload_type,
            sequence=self._sequence,
            timestamp=self._timestamp & 0xFFFF_FFFF,
            ssrc=self._ssrc,
            payload=payload,
            marker=begins,
        )
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp += FRAME_MS * self._clock_rate // 1000
        self._due_at += FRAME_MS / 1000
        return packet.serialize()
