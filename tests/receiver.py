"""A webhook receiver as a customer would write it: real sockets, and the `standardwebhooks` package to verify."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timezone
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from standardwebhooks import Webhook, webhooks

from bridge.ports import Clock

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"


@dataclass(frozen=True)
class Received:
    """One request, verified."""

    at: float
    id: str
    body: bytes
    message: dict[str, Any]
    headers: dict[str, str]


@dataclass
class Receiver:
    """Answers each request with what `answer` makes of it; `hang` is an answer that never comes."""

    clock: Clock
    url: str = ""
    secrets: tuple[str, ...] = (SECRET,)
    answer: Callable[[Received], web.Response] = lambda _: web.Response(status=204)
    hanging: bool = False
    seen: list[Received] = field(default_factory=list)
    _gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        for secret in self.secrets:
            message = Webhook(secret).verify(body, headers)
        received = Received(self.clock.now(), headers["webhook-id"], body, message, headers)
        self.seen.append(received)
        if self.hanging:
            await self._gone.wait()
        return self.answer(received)

    def release(self) -> None:
        """Let those go that hang."""
        self._gone.set()

    async def got(self, count: int) -> None:
        """Wait, in real time, until so many requests have come."""
        await until(lambda: len(self.seen) >= count)


async def until(condition: Callable[[], bool], *, limit_s: float = 30.0) -> None:
    """Wait, in real time, for what real sockets and threads bring."""
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110  # what it waits for lies beyond this loop
            await asyncio.sleep(0.002)


@asynccontextmanager
async def receiving(clock: Clock, **given: Any) -> AsyncIterator[Receiver]:
    receiver = Receiver(clock, **given)
    application = web.Application()
    application.router.add_post("/hook", receiver.receive)
    async with TestServer(application, host="127.0.0.1") as server:
        receiver.url = str(server.make_url("/hook"))
        yield receiver
        receiver.release()


def verify_at(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The verifier refuses old messages: let it read the test's clock."""

    class Clocked(datetime):
        @classmethod
        def now(cls, tz: timezone | None = None) -> datetime:  # type: ignore[override]
            return datetime.fromtimestamp(clock.now(), tz or UTC)

    monkeypatch.setattr(webhooks, "datetime", Clocked)
