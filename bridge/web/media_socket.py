"""A carrier's socket read as a conversation: items out, answers back, deadlines kept, floods cut off."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, Protocol

from aiohttp import WebSocketError, WSCloseCode, WSMessage, WSMsgType

from bridge.errors import (
    BridgeError,
    CapacityError,
    CarrierError,
    CarrierFloodError,
    CarrierProtocolError,
    CarrierSilentError,
    RequestError,
)
from bridge.ingest.conversation import Conversation
from bridge.metrics import MEDIA_MESSAGES
from bridge.model.stream import MarkReached, PlaybackHeld, StreamItem, StreamStarted, StreamStopped
from bridge.ports import Clock
from bridge.settings import Settings
from bridge.web.way_back import Talker

LATE_MEDIA_S: Final = 0.5
"""How long a socket is read on after its `stop`: what was on its way belongs to the call."""

MESSAGES_A_SECOND: Final = 2000.0
"""A two-party call has 100; this is one played at twenty times its speed."""
MESSAGE_BURST: Final = 20_000.0
"""Let through at any pace: ten seconds at the rate above. A line that stalls and recovers stays far below."""

BREATH: Final = 64
"""Messages read in one go before others get their turn: some 2 ms. A full socket buffer would never yield by itself."""

SENT_WITHIN_S: Final = 5.0
"""A carrier that takes no answers for so long is gone: they are a few bytes now and then."""

PARTED_WITHIN_S: Final = 2.0
"""What a carrier has that says the last word itself, once it was told that we leave."""

BROKEN_OFF: Final = frozenset({WSMsgType.CLOSED, WSMsgType.ERROR})
"""How a connection ends that nobody closed: a carrier that leaves sends a closing frame."""

UNKNOWN_CODE: Final = "Invalid close code"
"""aiohttp's words for a closing frame whose code is not in RFC 6455: Asterisk's is the channel's hang-up cause."""

REASON_BYTES: Final = 123
"""RFC 6455 §5.5: a control frame holds 125 bytes, two of them the code."""


class Wire(Protocol):
    """What a media socket needs of a connection: aiohttp's WebSocket, or `bridge.web.tcp_wire`."""

    async def receive(self) -> WSMessage: ...

    async def send_str(self, data: str) -> None: ...

    async def send_bytes(self, data: bytes) -> None: ...

    async def close(self, *, code: int, message: bytes) -> bool: ...


class MediaSocket:
    """One carrier's messages as items.

    Nothing is queued here: a message is read when the call asks for the next item. Until then it stays in aiohttp's
    reader (64 KiB, then reading pauses) and behind it in TCP, where it holds back the carrier.
    """

    def __init__(
        self,
        socket: Wire,
        conversation: Conversation,
        *,
        dialect: str,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._socket = socket
        self._conversation = conversation
        self._clock = clock
        self._settings = settings
        self._allowance = Allowance(clock, rate=MESSAGES_A_SECOND, burst=MESSAGE_BURST)
        self._counted = MEDIA_MESSAGES.labels(dialect)
        self._unread = BREATH
        self._waiting_since = math.inf
        self._alarm: asyncio.Task[None] | None = None
        self._farewell: asyncio.Task[None] | None = None
        self._sending = asyncio.Lock()
        self._reading = False
        self._read = asyncio.Event()
        """Set once nothing more is read for `items`."""
        self._ending = "closed"
        self._broken = False
        self._over = False
        """Whether the connection has ended."""
        self.stream: StreamStarted | None = None
        """As the carrier has started it."""
        self.tenant = ""
        """Whose call it is, once that is known."""
        self.talker: Talker | None = None
        """Who speaks on it."""
        self.fault: CarrierError | None = None
        """What the carrier did wrong, if it did."""

    async def items(self) -> AsyncGenerator[StreamItem, None]:
        """Everything the carrier says. Once started, exactly one StreamStopped is among it.

        Its reason is the carrier's own (`hangup`), `closed` when the socket ended without a word, `idle` when the
        carrier went quiet, `drained` after `leave`. Raises CarrierError.
        """
        stopped = False
        self._reading = True
        self._set_alarm(self._expect_start())
        try:
            while (message := await self._next()) is not None:
                items = self._conversation.receive(message)
                await self.flush()
                for item in items:
                    if isinstance(item, StreamStarted):
                        self.stream = item
                        self._set_alarm(self._expect_life())
                    elif isinstance(item, StreamStopped):
                        stopped = True
                        self._set_alarm(self._expect_close())
                    self._tell_talker(item)
                    yield self._as_it_ends(item)
        except CarrierError as error:
            self.fault = error
            raise
        finally:
            self._counted.inc(BREATH - self._unread)
            self._reading = False
            self._read.set()
            self._set_alarm(None)
        if self.stream is not None and not stopped:
            yield StreamStopped(reason=self._ending, broken=self._broken)

    def _tell_talker(self, item: StreamItem) -> None:
        if self.talker is None:
            return
        if isinstance(item, MarkReached):
            self.talker.reached(item.name)
        elif isinstance(item, PlaybackHeld):
            self.talker.hold(item.held)

    @property
    def started(self) -> bool:
        """Whether the carrier has started its stream."""
        return self.stream is not None

    @property
    def live(self) -> bool:
        """Whether a stream has started and is still read."""
        return self.stream is not None and self._reading

    async def over(self) -> None:
        """Returns when nothing more is read."""
        await self._read.wait()

    def _as_it_ends(self, item: StreamItem) -> StreamItem:
        """A carrier that we have told to end its stream ends it for our reason."""
        if isinstance(item, StreamStopped) and self._farewell is not None:
            return replace(item, reason=self._ending)
        return item

    async def flush(self) -> None:
        """Send what the conversation has to say. Whoever makes it say something calls this.

        A carrier that has gone is told nothing: reading finds out. Raises CarrierSilentError for one that takes none.
        """
        async with self._sending:
            await self._send(self._conversation.to_send())

    async def say(self, messages: Sequence[str | bytes]) -> None:
        """Send what is to be played, or done about it. Raises as `flush` does."""
        async with self._sending:
            await self._send(messages)

    async def _send(self, messages: Sequence[str | bytes]) -> None:
        for message in messages:
            try:
                async with asyncio.timeout(SENT_WITHIN_S):
                    if isinstance(message, str):
                        await self._socket.send_str(message)
                    else:
                        await self._socket.send_bytes(message)
            except ConnectionError:
                return
            except TimeoutError:
                raise CarrierSilentError(f"no answer of ours was taken for {SENT_WITHIN_S:g} s") from None

    async def leave(self) -> None:
        """The server goes away: end the conversation as drained."""
        self._ending = "drained"
        await self._say_farewell(None, WSCloseCode.GOING_AWAY, b"the server is shutting down")

    async def close(self, fault: BridgeError | None) -> None:
        """Close the socket, unless it is closing already, with a code and a reason that say why."""
        await self._say_farewell(fault, _close_code(fault), _reason(fault))

    async def _say_farewell(self, fault: BridgeError | None, code: int, reason: bytes) -> None:
        """Once: later ones wait for the first."""
        if self._farewell is None:
            self._farewell = asyncio.create_task(self._part(fault, code, reason))
        await asyncio.shield(self._farewell)

    async def _part(self, fault: BridgeError | None, code: int, reason: bytes) -> None:
        """As the dialect takes leave; then send a closing frame, and wait a little for the carrier's.

        `_next` sees the socket closing at once.
        """
        with suppress(CarrierError, TimeoutError):
            if not self._over:
                answered = self._conversation.leave(fault)
                await self.flush()
                if answered:
                    async with asyncio.timeout(PARTED_WITHIN_S):
                        await self._hear_out()
        await self._socket.close(code=code, message=reason)

    async def _hear_out(self) -> None:
        """Until the carrier has ended the connection. What it still says is read by `items`, or here for its answer."""
        if self._reading:
            await self._read.wait()
            return
        while (message := await self._next()) is not None:
            self._conversation.receive(message)
            await self.flush()

    async def _next(self) -> str | bytes | None:
        """The next message; None when the socket has ended."""
        self._waiting_since = self._clock.monotonic()
        message = await self._socket.receive()
        self._waiting_since = math.inf
        if message.type is WSMsgType.TEXT or message.type is WSMsgType.BINARY:
            self._unread -= 1
            if not self._unread:
                await self._breathe()
            data: str | bytes = message.data
            return data
        self._over = True
        if isinstance(message.data, WebSocketError) and str(message.data).startswith(UNKNOWN_CODE):
            return None
        if isinstance(message.data, WebSocketError):  # too large, not UTF-8, no WebSocket at all
            raise CarrierProtocolError(str(message.data))
        self._broken = message.type in BROKEN_OFF and self._farewell is None
        return None

    async def _breathe(self) -> None:
        self._unread = BREATH
        self._counted.inc(BREATH)
        if not self._allowance.spend(BREATH):
            raise CarrierFloodError(f"more than {MESSAGES_A_SECOND:.0f} messages a second")
        await asyncio.sleep(0)

    # -- deadlines, one at a time ----------------------------------------------------------------------------------

    def _set_alarm(self, alarm: Coroutine[Any, Any, None] | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = None if alarm is None else asyncio.create_task(alarm)

    async def _expect_start(self) -> None:
        limit = self._settings.start_timeout_s
        await self._clock.sleep(limit)
        self.fault = CarrierSilentError(f"no stream started within {limit:g} s")
        await self.close(self.fault)

    async def _expect_life(self) -> None:
        """Only waiting counts: a call that is slow to take its audio is not a carrier gone quiet."""
        limit = self._settings.idle_timeout_s
        while (left := self._waiting_since + limit - self._clock.monotonic()) > 0:
            await self._clock.sleep(min(left, limit))
        self._ending = "idle"
        self.fault = CarrierSilentError(f"nothing came for {limit:g} s")
        await self.close(self.fault)

    async def _expect_close(self) -> None:
        await self._clock.sleep(LATE_MEDIA_S)
        await self.close(None)


class Allowance:
    """Messages that may still come: a bucket that fills at `rate` a second up to `burst`."""

    def __init__(self, clock: Clock, *, rate: float, burst: float) -> None:
        self._clock = clock
        self._rate = rate
        self._burst = self._left = burst
        self._filled_at = clock.monotonic()

    def spend(self, messages: int) -> bool:
        """False when there were not so many left."""
        now = self._clock.monotonic()
        self._left = min(self._burst, self._left + (now - self._filled_at) * self._rate) - messages
        self._filled_at = now
        return self._left >= 0


def _close_code(fault: BridgeError | None) -> int:
    """RFC 6455 §7.4.1, as the fault says it."""
    if fault is None:
        return WSCloseCode.OK
    if isinstance(fault, CarrierError):
        return fault.close_code
    if isinstance(fault, CapacityError):
        return WSCloseCode.TRY_AGAIN_LATER
    return WSCloseCode.POLICY_VIOLATION if isinstance(fault, RequestError) else WSCloseCode.INTERNAL_ERROR


def _reason(fault: BridgeError | None) -> bytes:
    """`code: message`, cut to what a closing frame holds without cutting a character in two."""
    text = "" if fault is None else f"{fault.code}: {fault.message}"
    return text.encode()[:REASON_BYTES].decode(errors="ignore").encode()
