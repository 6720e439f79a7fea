"""Talking back: a bot's WebSocket, whose audio is played to the caller on the stream that the carrier opened.

Binary messages are audio in the encoding of the query; texts are `{"type": "clear"}` and `{"type": "mark", "name": …}`.
Back come `ready`, `mark` (`state` `played` or `cleared`), `cleared` with its `reason`, `full` and `room` of the queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, Literal

import numpy as np
import structlog
from aiohttp import WSCloseCode, WSMsgType, hdrs, web
from pydantic import Field

from bridge.calls import CALL_ID
from bridge.errors import BridgeError, ConflictError, InvalidRequestError, SlowReaderError
from bridge.model.call_key import CallKey
from bridge.model.events import TurnStarted
from bridge.model.foreign import from_json
from bridge.model.frame import SAMPLE_RATE
from bridge.model.records import CallRecord
from bridge.model.stream import Encoding, Leg, MediaFormat
from bridge.pulse import Pulse
from bridge.talk.playback import FULL_S, MarkDone, Playback
from bridge.talk.replies import Message, Reply, reply_on
from bridge.web.auth import Scope
from bridge.web.drain import first_of
from bridge.web.media import SOCKETS
from bridge.web.route import Answer, Ask, Incoming, Nothing, Route
from bridge.web.rtp_calls import RTP_CALLS
from bridge.web.way_back import WayBack
from bridge.web.whip import SESSIONS
from callcodecs.decoder import Pcm
from callcodecs.resample import Resampler

log = structlog.get_logger(__name__)

MAX_MESSAGE: Final = 1024 * 1024
"""Bytes: half a minute of 16-bit samples at 16 kHz."""
MOST_UNTOLD: Final = 1000
"""Messages that a bot may have unread; then it is cut off."""
LONGEST_NAME: Final = 200
FAREWELL_S: Final = 2.0
KEEP_ALIVE_S: Final = 15.0
LONGEST_WAIT_S: Final = 0.02
"""For audio that comes behind a mark, or for the rest of a frame."""
LOOK_EVERY_S: Final = 0.1
"""Whether there is room again for a bot that is not read."""

ENCODINGS: Final = {"mulaw": Encoding.PCMU, "alaw": Encoding.PCMA, "linear16": Encoding.L16_LE}


class Talk(Incoming):
    encoding: Literal["mulaw", "alaw", "linear16"] = Field(default="linear16", description="of the audio that is sent")
    sample_rate: int = Field(default=8000, description="8000, 16000, 24000, 48000 …")
    barge_in: Literal["clear", "off"] = Field(
        default="off", description="`clear`: the caller's `turn.started` stops what is being played"
    )


async def talk(ask: Ask[Talk, Nothing]) -> web.StreamResponse:
    call = await ask.context.store.call(ask.tenant, ask.path("call_id"))
    if ask.request.headers.get(hdrs.UPGRADE, "").lower() != "websocket":
        raise InvalidRequestError("this path is a WebSocket")
    line = _line_of(ask, call)
    reply = None if line.stream is None else reply_on(line.stream)
    if reply is None:
        raise ConflictError(f"nothing can be said on a stream of {call.carrier}")
    if line.talker is not None:
        raise ConflictError("somebody talks on this call already")
    source = MediaFormat(encoding=ENCODINGS[ask.query.encoding], sample_rate=ask.query.sample_rate)
    session = _Session(ask, call, line, reply, source)
    line.talker = session
    try:
        return await session.run()
    finally:
        line.talker = None


def _line_of(ask: Ask[Talk, Nothing], call: CallRecord) -> WayBack:
    """The line on which the call's carrier is heard. Raises ConflictError."""
    found = [line for line in _lines(ask.request.app) if _is_of(line, call)]
    if len(found) > 1:
        raise ConflictError("several lines may be this call's: name it (`call_id`) on its stream")
    if not found:
        raise ConflictError("the call is on no line of this server now that can be spoken on")
    return found[0]


def _lines(app: web.Application) -> list[WayBack]:
    return [*app[SOCKETS], *app[RTP_CALLS].ways_back(), *app[SESSIONS].ways_back()]


def _is_of(line: WayBack, call: CallRecord) -> bool:
    """By the carrier's id, and by the call's own where the stream names it."""
    stream = line.stream
    if stream is None or not line.live or line.tenant != call.tenant or stream.carrier != call.carrier:
        return False
    named = stream.parameters.get("call_id", "")
    is_named = CALL_ID.fullmatch(named) is not None
    return stream.carrier_call_id == call.carrier_call_id and (not is_named or named == call.call_id)


class _Session:
    """One bot and one call."""

    def __init__(
        self, ask: Ask[Talk, Nothing], call: CallRecord, way_back: WayBack, reply: Reply, source: MediaFormat
    ) -> None:
        """Raises UnsupportedMediaError for a source that nothing here decodes."""
        self._ask = ask
        self._call = call
        self._clock = ask.context.clock
        self._line = way_back
        self._reply = reply
        self._playback = Playback(reply, source, played=self._played)
        rate = reply.media_format.sample_rate
        self._resampler = None if rate == SAMPLE_RATE else Resampler(rate, SAMPLE_RATE)
        self._news = Pulse()
        self._socket = web.WebSocketResponse(heartbeat=KEEP_ALIVE_S, timeout=FAREWELL_S, max_msg_size=MAX_MESSAGE)
        self._telling: asyncio.Queue[dict[str, Any]] = asyncio.Queue(MOST_UNTOLD)
        self._deaf = asyncio.Event()
        """The bot does not read what it is told."""

    async def run(self) -> web.WebSocketResponse:
        """Until the bot leaves, or the call ends."""
        await self._socket.prepare(self._ask.request)
        line = self._reply.media_format
        self._tell("ready", encoding=line.encoding.value, sample_rate=line.sample_rate, queue_ms=round(1000 * FULL_S))
        ends = [self._line.over(), self._ask.context.closing.wait(), self._cut_off_the_deaf()]
        stories = [self._read(), self._play(), self._answer(), *ends]
        if self._ask.query.barge_in == "clear":
            stories.append(self._give_way())
        code, reason = WSCloseCode.OK, b"the call is over"
        try:
            await first_of(*stories)
        except BridgeError as error:
            log.warning("talking back ended", code=error.code, reason=error.message)
            code, reason = WSCloseCode.POLICY_VIOLATION, f"{error.code}: {error.message}".encode()[:120]
        with suppress(ConnectionError):
            await self._socket.close(code=code, message=reason)
        return self._socket

    def reached(self, mark: str) -> None:
        """The carrier gives a mark back."""
        self._told(self._playback.reached(mark))

    def hold(self, held: bool) -> None:
        """The carrier takes no more for now, or does again."""
        self._playback.hold(held)
        self._news.send()

    @property
    def speaks(self) -> bool:
        return self._playback.playing(self._clock.monotonic())

    # -- from the bot ----------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type is WSMsgType.BINARY:
                self._playback.push(message.data, self._clock.monotonic())
            elif message.type is WSMsgType.TEXT:
                await self._obey(message.data)
            self._news.send()
            if self._playback.full:
                await self._wait_for_room()

    async def _wait_for_room(self) -> None:
        """Nothing more is read: TCP holds the bot back. What was read before is still played and told."""
        self._tell("full", queued_ms=round(1000 * self._playback.queued_s))
        while self._playback.full:
            await self._clock.sleep(LOOK_EVERY_S)
        self._tell("room", queued_ms=round(1000 * self._playback.queued_s))

    async def _obey(self, text: str) -> None:
        """Raises InvalidRequestError for what is no order."""
        try:
            order = from_json(text)
            kind, name = order["type"], order.get("name")
        except (ValueError, TypeError, KeyError, AttributeError):
            raise InvalidRequestError("a text that is no JSON object with a type") from None
        match kind:
            case "clear":
                await self._clear("asked")
            case "mark" if isinstance(name, str) and 0 < len(name) <= LONGEST_NAME:
                self._playback.mark(name)
            case "mark":
                raise InvalidRequestError(f"a mark without a name of 1 to {LONGEST_NAME} characters")
            case _:
                raise InvalidRequestError(f"type {ascii(kind)[:64]}; clear and mark are understood")

    # -- to the carrier --------------------------------------------------------------------------------------------

    async def _play(self) -> None:
        while True:
            news = self._news.next()
            messages, done = self._playback.due(self._clock.monotonic())
            await self._send(messages, done)
            wait_s = self._playback.wait_s(self._clock.monotonic())
            if wait_s is None:
                await news.wait()
            else:  # news can wait, too: a clear sends for itself, and more audio goes behind what is queued
                await self._clock.sleep(min(wait_s, LONGEST_WAIT_S))

    async def _clear(self, reason: str) -> None:
        messages, done = self._playback.clear(self._clock.monotonic())
        await self._send(messages, done)
        self._tell("cleared", reason=reason)

    async def _send(self, messages: Sequence[Message], done: Sequence[MarkDone]) -> None:
        if messages:
            await self._line.say(messages)
        self._told(done)

    def _played(self, frame: Pcm) -> None:
        """The call is told, so that it knows an echo."""
        samples = frame.astype(np.float32) / np.float32(32768)
        if self._resampler is not None:
            samples = self._resampler.push(samples)
        self._ask.context.calls.play(CallKey(self._call.tenant, self._call.call_id), samples)

    async def _give_way(self) -> None:
        """Who begins to speak over what is played is not spoken over."""
        call = self._call
        events = self._ask.context.feed.call(call.tenant, call.call_id, after=call.last_seq)
        async for event in events:
            if not isinstance(event.body, TurnStarted) or event.body.leg is Leg.AGENT:
                continue
            if self.speaks:
                await self._clear("barge_in")
        await asyncio.Event().wait()  # what else ends this session has its own story

    # -- to the bot ------------------------------------------------------------------------------------------------

    def _told(self, done: Sequence[MarkDone]) -> None:
        for mark in done:
            self._tell("mark", name=mark.name, state="cleared" if mark.cleared else "played")

    def _tell(self, kind: str, **fields: Any) -> None:
        if self._telling.full():
            self._deaf.set()
        else:
            self._telling.put_nowait({"type": kind, **fields})

    async def _cut_off_the_deaf(self) -> None:
        await self._deaf.wait()
        raise SlowReaderError("the bot reads nothing of what it is told")

    async def _answer(self) -> None:
        with suppress(ConnectionError):
            while True:
                await self._socket.send_json(await self._telling.get())


ROUTES: Final = (
    Route(
        method=hdrs.METH_GET,
        path="/v1/calls/{call_id}/talk",
        handler=talk,
        scope=Scope.CALLS_WRITE,
        summary="Speak to the caller: a WebSocket that takes audio, `clear` and `mark`",
        tag="calls",
        query=Talk,
        answers=(
            Answer(description="a WebSocket: audio in, marks and news of the queue out", status=101, media_types=()),
        ),
    ),
)
