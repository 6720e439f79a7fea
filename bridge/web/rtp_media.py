"""A call's RTP ports read as a conversation: items out, deadlines kept, floods cut off."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Mapping
from contextlib import suppress
from functools import partial
from socket import socket
from typing import Any, Final, TypeAlias

from bridge.errors import CarrierError, CarrierSilentError, UnsupportedMediaError
from bridge.ingest.rtp import Address, RtpStream
from bridge.metrics import MEDIA_MESSAGES
from bridge.model.stream import Leg, StreamItem, StreamStarted
from bridge.ports import Clock
from bridge.pulse import Pulse
from bridge.web.rtp_ports import PortPair

MOST_WAITING: Final = 4 * 1024 * 1024
"""Bytes of datagrams that wait for a call to take them: minutes of two legs in G.711. Those beyond are dropped as if
the network had lost them, and told as the gap that they leave."""

OVERHEAD: Final = 300
"""What a waiting datagram counts beside its bytes, so that empty ones are not free."""

READ_AT_ONCE: Final = 256
"""Datagrams of one port before others get their turn: some 3 ms."""

LARGEST: Final = 65_535
"""Bytes of a datagram."""

Said: TypeAlias = Callable[[Leg, bytes, Address, float], list[StreamItem]]


class RtpMedia:
    """One call's ports as items.

    UDP has no way to hold a sender back, so what comes is queued here, up to `MOST_WAITING`.
    """

    def __init__(
        self,
        stream: RtpStream,
        pairs: Mapping[Leg, PortPair],
        *,
        carrier: str,
        clock: Clock,
        start_timeout_s: float,
        idle_timeout_s: float,
    ) -> None:
        self.stream = stream
        self.pairs = pairs
        self._clock = clock
        self._start_timeout_s = start_timeout_s
        self._idle_timeout_s = idle_timeout_s
        self._counted = MEDIA_MESSAGES.labels(carrier)
        self._loop = asyncio.get_running_loop()
        self._buffer = memoryview(bytearray(LARGEST))
        self._waiting: deque[tuple[Said, Leg, bytes, Address, float]] = deque()
        self._waiting_bytes = 0
        self._news = Pulse()
        self._ending: str | None = None
        self._alarm: asyncio.Task[None] | None = None
        self._held = False
        self.heard_out = asyncio.Event()
        """Set when nothing more is heard."""
        self.started = False
        """Whether the first packet of speech has come."""
        self.dropped = 0
        """Datagrams for which there was no room."""
        self.fault: CarrierError | None = None
        """What the sender did wrong, if it did."""

    async def items(self) -> AsyncGenerator[StreamItem, None]:
        """Everything that is sent. Once started, exactly one StreamStopped is the last of it.

        Its reason is `hangup` after RTCP BYE, `idle` when nothing came any more, or what `end` said. The ports are
        closed then.
        """
        self._listen()
        self._set_alarm(self._expect_start())
        try:
            while not self.stream.stopped:
                news = self._news.next()
                for item in self._take():
                    if isinstance(item, StreamStarted):
                        self.started = True
                        self._set_alarm(self._expect_life())
                    yield item
                if self._ending is not None and not self._waiting:
                    for item in self.stream.stop(self._ending):
                        yield item
                elif not self._waiting and not self.stream.stopped:
                    await news.wait()
        finally:
            self.heard_out.set()
            self._set_alarm(None)
            self.close()

    def end(self, reason: str) -> None:
        """The call is over, as somebody else has said; what has come until now is still heard."""
        self._ending = self._ending or reason
        self._deafen()
        self._news.send()

    async def send(self, leg: Leg, packet: bytes) -> None:
        """To where the leg is sent from: senders are reached through any NAT there. UDP does not wait, nor do we."""
        source, bound = self.stream.source(leg), self.pairs[leg].rtp
        if source is not None and bound.fileno() >= 0:
            with suppress(OSError):  # gone, or its network cannot take any now: lost, as packets are
                bound.sendto(packet, source)

    def hold(self, held: bool) -> None:
        """Whether nothing has to come for now, so that silence is no fault."""
        self._held = held

    def close(self) -> None:
        """Give the ports back. Nothing is heard any more."""
        self._deafen()
        for pair in self.pairs.values():
            pair.close()

    # -- sockets → queue -------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        for leg, pair in self.pairs.items():
            self._loop.add_reader(pair.rtp, partial(self._read, pair.rtp, leg, self.stream.receive))
            self._loop.add_reader(pair.rtcp, partial(self._read_control, pair.rtcp, leg))

    def _deafen(self) -> None:
        for pair in self.pairs.values():
            for bound in (pair.rtp, pair.rtcp):
                if bound.fileno() >= 0:
                    self._loop.remove_reader(bound)

    def _read_control(self, bound: socket, leg: Leg) -> None:
        """Speech first: a goodbye must not overtake what was said before it."""
        for other, pair in self.pairs.items():
            self._read(pair.rtp, other, self.stream.receive)
        self._read(bound, leg, self.stream.control)

    def _read(self, bound: socket, leg: Leg, said: Said) -> None:
        at_s = self._clock.monotonic()
        came = 0
        for _ in range(READ_AT_ONCE):
            try:
                size, source = bound.recvfrom_into(self._buffer)
            except OSError:  # nothing more for now; or the answer to something that we never sent
                break
            came += 1
            if self._waiting_bytes + size + OVERHEAD > MOST_WAITING:
                self.dropped += 1
                continue
            self._waiting_bytes += size + OVERHEAD
            self._waiting.append((said, leg, bytes(self._buffer[:size]), (source[0], source[1]), at_s))
        if came:
            self._counted.inc(came)
            self._news.send()

    def _take(self) -> Iterator[StreamItem]:
        """Items of the datagrams that wait."""
        while self._waiting:
            said, leg, datagram, source, at_s = self._waiting.popleft()
            self._waiting_bytes -= len(datagram) + OVERHEAD
            yield from said(leg, datagram, source, at_s)

    # -- deadlines, one at a time ----------------------------------------------------------------------------------

    def _set_alarm(self, alarm: Coroutine[Any, Any, None] | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = None if alarm is None else asyncio.create_task(alarm)

    async def _expect_start(self) -> None:
        limit = self._start_timeout_s
        await self._clock.sleep(limit)
        while self._held:
            await self._clock.sleep(limit)
        if self.stream.unread_types:
            types = ", ".join(str(number) for number in sorted(self.stream.unread_types))
            self.fault = UnsupportedMediaError(f"nothing but payload types that nobody explained: {types}")
        else:
            self.fault = CarrierSilentError(f"no speech came within {limit:g} s")
        self.end("idle")

    async def _expect_life(self) -> None:
        """Only silence on the line counts, not a call that is slow to take what came."""
        limit = self._idle_timeout_s
        while (left := self._last_sign_s() + limit - self._clock.monotonic()) > 0:
            await self._clock.sleep(left)
        self.fault = CarrierSilentError(f"nothing came for {limit:g} s")
        self.end("idle")

    def _last_sign_s(self) -> float:
        heard = self.stream.heard_at_s
        if self._held or self._waiting or heard is None:
            return self._clock.monotonic()
        return heard
