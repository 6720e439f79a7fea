"""A customer's receiver of callbacks: each message with its method and headers, as it came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.compat.wire import PATIENCE_S


class Received:
    """One message."""

    def __init__(self, request: web.Request, text: str) -> None:
        self.method = request.method
        self.path = request.path_qs
        self.url = str(request.url)
        self.headers = dict(request.headers)
        self.text = text


class Customer:
    """Hears at any path, and says yes."""

    def __init__(self) -> None:
        self.url = ""
        self._came: asyncio.Queue[Received] = asyncio.Queue()

    async def receive(self, request: web.Request) -> web.Response:
        await self._came.put(Received(request, await request.text()))
        return web.Response()

    async def next(self) -> Received:
        async with asyncio.timeout(PATIENCE_S):
            return await self._came.get()


@asynccontextmanager
async def customer() -> AsyncIterator[Customer]:
    found = Customer()
    served = web.Application()
    served.router.add_route("*", "/{path:.*}", found.receive)
    async with TestServer(served, host="127.0.0.1") as running:
        found.url = str(running.make_url("/done"))
        yield found
