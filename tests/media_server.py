"""A server of media sockets alone: real routes, authentication and deadlines; the calls are only written down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.clock import SystemClock
from bridge.dialects import Dialect, Frames
from bridge.errors import BridgeError, CapacityError
from bridge.model.call_key import CallKey
from bridge.model.frame import Samples
from bridge.model.records import ApiKey
from bridge.model.stream import MediaChunk, StreamItem, StreamStarted, StreamStopped
from bridge.ports import Clock
from bridge.pulse import Pulse
from bridge.settings import Settings
from bridge.web import audiosocket, media, whip
from bridge.web.auth import Auth, TokenSigner, hash_key
from bridge.web.context import CONTEXT, Context
from bridge.web.problems import answer_problems
from bridge.web.route import MAX_BODY
from bridge.web.voice import routes as voice

API_KEY = "cbk_a-key-of-tenant-acme"


@dataclass
class TakenCall:
    """One call as it was heard."""

    started: StreamStarted
    tenant: str
    items: list[StreamItem] = field(default_factory=list)
    fault: BridgeError | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    _news: Pulse = field(default_factory=Pulse)

    def hear(self, item: StreamItem) -> None:
        self.items.append(item)
        self._news.send()

    async def heard(self, count: int) -> None:
        """Until so many items have come."""
        async with asyncio.timeout(5):
            while len(self.items) < count:
                await self._news.next().wait()

    @property
    def stop_reasons(self) -> list[str]:
        return [item.reason for item in self.items if isinstance(item, StreamStopped)]

    def chunks(self, leg: str) -> list[MediaChunk]:
        return [item for item in self.items if isinstance(item, MediaChunk) and item.leg == leg]


class WritingTaker:
    """A CallTaker that keeps what it hears. `refusal` is raised by `take`; without `room` no call is let in."""

    def __init__(self) -> None:
        self.taken: asyncio.Queue[TakenCall] = asyncio.Queue()
        self.room = True
        self.refusal: BridgeError | None = None
        self.pace: Callable[[], Awaitable[None]] | None = None
        self.calls = 0

    def play(self, key: CallKey, samples: Samples) -> None:
        raise AssertionError("nobody talks back here")

    def check_room(self, tenant: str | None = None) -> None:
        if not self.room:
            raise CapacityError("no room for another call", retry_after=7)

    async def take(self, started: StreamStarted, items: AsyncIterator[StreamItem], *, tenant: str) -> None:
        if self.refusal is not None:
            raise self.refusal
        call = TakenCall(started, tenant)
        self.calls += 1
        self.taken.put_nowait(call)
        try:
            async for item in items:
                call.hear(item)
                if self.pace is not None:
                    await self.pace()
        except BridgeError as error:
            call.fault = error
        finally:
            self.calls -= 1
            call.ended.set()

    def active(self) -> int:
        return self.calls

    async def next_call(self, *, ended: bool = True) -> TakenCall:
        """The next call, once it has ended, or (`ended` False) begun."""
        call = await asyncio.wait_for(self.taken.get(), 5)
        if not ended:
            return call
        await asyncio.wait_for(call.ended.wait(), 5)
        return call


class OneKey:
    """A KeyStore with the key of tenant `acme`."""

    async def find_key(self, sha256: str) -> ApiKey | None:
        key = ApiKey(id="key_1", tenant="acme", name="test", prefix=API_KEY[:8], created_at=0)
        return key if sha256 == hash_key(API_KEY) else None


@dataclass
class MediaServer:
    """The running server and what is behind it."""

    url: str
    taker: WritingTaker
    context: Context
    app: web.Application
    server: TestServer
    asterisk: asyncio.Server

    @property
    def audiosocket(self) -> str:
        return f"tcp://127.0.0.1:{self.asterisk.sockets[0].getsockname()[1]}"

    def address(self, dialect: Dialect) -> str:
        """Where a carrier of this dialect calls."""
        if dialect.frames is Frames.TCP:
            return self.audiosocket
        return f"{self.url.replace('http', 'ws')}{dialect.path}"

    async def close(self) -> None:
        self.asterisk.close()
        await self.server.close()

    @property
    def twilio(self) -> str:
        return f"{self.url.replace('http', 'ws')}/v1/media/twilio"


async def start_media_server(clock: Clock | None = None, **given: Any) -> MediaServer:
    """`given` are settings. Whoever starts it closes it."""
    settings = Settings(**given)
    clock = clock or SystemClock()
    taker = WritingTaker()
    auth = Auth(settings=settings, keys=OneKey(), signer=TokenSigner(["s" * 32], clock))
    app = web.Application(middlewares=[answer_problems], client_max_size=MAX_BODY)
    app[CONTEXT] = Context(
        settings=settings, clock=clock, store=None, feed=None, calls=taker, transcriber=None, auth=auth
    )
    app[audiosocket.ANNOUNCEMENTS] = audiosocket.Announcements()
    app.router.add_routes(route.as_aiohttp() for route in audiosocket.ROUTES)
    media.add_routes(app)
    app.router.add_routes(route.as_aiohttp() for route in whip.ROUTES)
    whip.add_routes(app)
    voice.add_routes(app)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    asterisk = await audiosocket.listen(app, "127.0.0.1", 0)
    return MediaServer(str(server.make_url("")).rstrip("/"), taker, app[CONTEXT], app, server, asterisk)


ServeMedia = Callable[..., Awaitable[MediaServer]]
