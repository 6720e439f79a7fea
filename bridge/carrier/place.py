"""Placing a call: the carrier's messages over a real WebSocket (in one dialect TCP), each when it is due."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from socket import SHUT_RDWR
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import aiohttp
import numpy as np
import numpy.typing as npt

from bridge.carrier.audio import EncodedAudio
from bridge.carrier.faults import NO_FAULTS, Faults, disturb
from bridge.carrier.side import CarrierSide, Key, Message, Timed, conversation
from bridge.carrier.tcp import SCHEME, TcpLine
from bridge.errors import CallRefusedError
from bridge.ports import Clock
from bridge.pulse import Pulse

MAX_RECEIVED: Final = 1000
"""Messages kept of what comes back; later ones are counted in `received_count` alone."""

ANSWERED_WITHIN_S: Final = 10.0
"""What the other side has to say that audio may be sent, and again for its last word."""

NO_CODE: Final = 1005
"""RFC 6455 §7.1.5: a closing frame without a code."""

BREATH: Final = 32
"""Messages sent in one go before other calls of this process get their turn, when the call is behind its time."""


Socket: TypeAlias = aiohttp.ClientWebSocketResponse | TcpLine


@dataclass(slots=True)
class CallReport:
    """How a call went; filled in while it goes. Clock times are the carrier's `Clock.now()`."""

    audio: EncodedAudio
    sent: npt.NDArray[np.float64] = field(init=False)
    """By frame number: when it was sent (its first copy); NaN where it was not, or not yet."""
    messages_sent: int = 0
    """Answers are not counted."""
    behind_s: float = 0.0
    """The most by which a message was sent later than it was due."""
    received: list[Message] = field(default_factory=list)
    received_count: int = 0
    close_code: int | None = None
    """What the other side closed with; None when the connection was cut, or we hung up without a word."""
    close_reason: str = ""
    ended_at: float = math.nan

    def __post_init__(self) -> None:
        self.sent = np.full(len(self.audio.frames), np.nan)

    def sent_at(self, at_ms: float) -> float:
        """When the sample at `at_ms` of any leg was sent; NaN for one that was lost or lies outside the call."""
        frame = int(at_ms // self.audio.frame_ms)
        return float(self.sent[frame]) if 0 <= frame < len(self.sent) else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a call is placed."""

    speed: float = 1.0
    """Times real time; `math.inf` sends as fast as the other side takes it."""
    delay_s: float = 0.0
    """Waited before the first message, so that many calls do not march in step."""
    keys: Sequence[Key] = ()
    faults: Faults = NO_FAULTS


ORDINARY: Final = Manner()


async def place_call(
    url: str,
    audio: EncodedAudio,
    side: CarrierSide,
    *,
    clock: Clock,
    manner: Manner = ORDINARY,
    headers: Mapping[str, str] | None = None,
    subprotocols: Sequence[str] = (),
    report: CallReport | None = None,
    progress: Callable[[float], None] | None = None,
) -> CallReport:
    """Be a carrier for one call, from the upgrade to the closing frame.

    `report` is given by who wants to read it while the call goes on; `progress` is told the ms of the call sent so
    far. Raises CallRefusedError when the socket does not open. A call that the other side ends is reported, not raised.
    """
    report = report or CallReport(audio)
    line = disturb(conversation(side, audio, manner.keys), manner.faults)
    await clock.sleep(manner.delay_s)
    async with aiohttp.ClientSession() as session:
        socket = await _dial(session, url, side, {**side.headers(url), **(headers or {})}, subprotocols)
        talk = _Talk(socket, side, report)
        try:
            async for timed in paced(line, manner.speed, clock, report):
                if not await talk.goes_on(timed):
                    break
                await _send(socket, timed, clock, report)
                if progress is not None:
                    progress(timed.due_ms)
            if math.isfinite(manner.faults.hang_up_at_ms):
                _cut(socket)
            elif side.parted is not None:
                await talk.until(lambda: bool(side.parted))
            await socket.close()
        except BaseException:
            _cut(socket)  # given up in mid-call: no answer is waited for
            raise
        finally:
            await talk.listening
    if report.close_code is None and socket.close_code != aiohttp.WSCloseCode.ABNORMAL_CLOSURE:
        report.close_code = socket.close_code  # its answer to our closing frame, which `socket.close` waited for
    report.ended_at = clock.now()
    return report


async def _dial(
    session: aiohttp.ClientSession,
    url: str,
    side: CarrierSide,
    headers: Mapping[str, str],
    subprotocols: Sequence[str],
) -> Socket:
    if urlsplit(url).scheme == SCHEME:
        return await TcpLine.dial(url, side.hear)
    try:
        return await session.ws_connect(url, headers=headers, protocols=subprotocols)
    except aiohttp.WSServerHandshakeError as error:
        raise CallRefusedError(f"HTTP {error.status} {_phrase(error.status)}".rstrip(), status=error.status) from None
    except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: an address that is none
        raise CallRefusedError(str(error), status=None) from None


def _phrase(status: int) -> str:
    return next((known.phrase for known in HTTPStatus if known == status), "")


async def paced(line: Iterable[Timed], speed: float, clock: Clock, report: CallReport) -> AsyncIterator[Timed]:
    """Each message when it is due. One that is behind its time goes at once: nothing is skipped."""
    began = clock.monotonic()
    for number, timed in enumerate(line):
        ahead = began + timed.due_ms / 1000 / speed - clock.monotonic()
        if ahead > 0:
            await clock.sleep(ahead)
        else:
            report.behind_s = max(report.behind_s, -ahead)
            if number % BREATH == 0:
                await asyncio.sleep(0)
        yield timed


async def _send(socket: Socket, timed: Timed, clock: Clock, report: CallReport) -> None:
    """Sending waits while the other side does not read: what it does to a real carrier shows in `behind_s`."""
    if timed.frame is not None and math.isnan(report.sent[timed.frame]):
        report.sent[timed.frame] = clock.now()
    report.messages_sent += await _say(socket, timed.message)


async def _say(socket: Socket, message: Message) -> bool:
    """False when the other side has gone: `_listen` has seen it too, and says why."""
    try:
        if isinstance(message, bytes):
            await socket.send_bytes(message)
        else:
            await socket.send_str(message)
    except ConnectionError:
        return False
    return True


class _Talk:
    """What comes back on a call, heard and answered while it goes on."""

    def __init__(self, socket: Socket, side: CarrierSide, report: CallReport) -> None:
        self._socket = socket
        self._side = side
        self._report = report
        self._news = Pulse()
        self.listening = asyncio.create_task(self._listen())
        """Done when the other side has closed."""
        self.listening.add_done_callback(lambda _: self._news.send())

    async def goes_on(self, timed: Timed) -> bool:
        """Whether the call does, with this message. Audio may have to wait for it."""
        if timed.frame is not None and not await self.until(lambda: self._side.ready):
            return False
        return not (self.listening.done() or self._side.parted)

    async def until(self, holds: Callable[[], bool]) -> bool:
        """Whether it does, once the other side has had its time to bring it about."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWERED_WITHIN_S):
                while not holds() and not self.listening.done():
                    await self._news.next().wait()
        return holds()

    async def _listen(self) -> None:
        report = self._report
        while True:
            message = await self._socket.receive()
            if message.type in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}:
                report.received_count += 1
                if len(report.received) < MAX_RECEIVED:
                    report.received.append(message.data)
                for answer in self._side.hear(message.data):
                    await _say(self._socket, answer)
                self._news.send()
            else:
                if message.type is aiohttp.WSMsgType.CLOSE:
                    report.close_code, report.close_reason = message.data or NO_CODE, message.extra or ""
                return


def _cut(socket: Socket) -> None:
    """As a network fails: the connection ends, and no closing frame says so."""
    if isinstance(socket, TcpLine):
        socket.cut()
        return
    line = socket.get_extra_info("socket")
    if line is not None:
        line.shutdown(SHUT_RDWR)
