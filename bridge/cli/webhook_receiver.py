"""A webhook receiver as a customer would write one: it believes a message only when it can sign it the same."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from bridge.ports import Clock

TOLERANCE_S: Final = 300
"""How old a message may be, so that an old one that was listened to cannot be sent again."""


class UnsignedError(Exception):
    """A message that is not what its sender signed."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message whose signature is right."""

    headers: Mapping[str, str]
    """The three of Standard Webhooks."""
    body: Mapping[str, Any]


class Receiver:
    """Takes messages at `url` as long as it is open."""

    def __init__(self, secret: str, clock: Clock) -> None:
        self.secret = secret
        self._clock = clock
        self.url = ""
        self.verified: asyncio.Queue[Received] = asyncio.Queue()
        """As many as the server was asked to send."""
        self.refused: list[str] = []
        """Why messages were turned away."""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Receiver]:
        """On a free port of this machine alone."""
        app = web.Application()
        app.router.add_post("/calls", self._take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/calls"
            yield self
        finally:
            await runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            verify(self.secret, request.headers, body, self._clock.now())
        except UnsignedError as error:
            self.refused.append(str(error))
            return web.Response(status=401, text=str(error))
        headers = {name: value for name, value in request.headers.items() if name.lower().startswith("webhook-")}
        self.verified.put_nowait(Received(headers, json.loads(body)))
        return web.Response(status=204)


def verify(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> None:
    """Standard Webhooks 1.0.0: an HMAC-SHA256 over id, time and body, with the bytes that `whsec_…` encodes.

    Raises UnsignedError, which says why the message is not to be believed.
    """
    try:
        message_id, sent, signatures = (headers[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
    except KeyError as missing:
        raise UnsignedError(f"no header {missing}") from None
    if not sent.isdecimal() or abs(now - int(sent)) > TOLERANCE_S:
        raise UnsignedError(f"not sent now, but at {sent!r}")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{message_id}.{sent}.".encode() + body, hashlib.sha256)
    right = f"v1,{base64.b64encode(digest).decode()}"
    if not any(hmac.compare_digest(right.encode(), given.encode()) for given in signatures.split()):
        raise UnsignedError("the signature is not that of this body")
