"""A socket without anybody's SDK, for what no SDK does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.real_server import KEY, RealServer

PATIENCE_S = 20
BEARER = {"Authorization": f"Bearer {KEY}"}


@asynccontextmanager
async def socket(
    server: RealServer, path: str, *, headers: Mapping[str, str] = BEARER, **how: Any
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.ws_connect(f"{server.ws_url}{path}", **how) as opened,
    ):
        yield opened


async def rest(live: aiohttp.ClientWebSocketResponse) -> list[dict[str, Any]]:
    """All that is still told, until the socket is closed."""
    async with asyncio.timeout(PATIENCE_S):
        return [message.json() async for message in live]


async def refused(server: RealServer, path: str, *, headers: Mapping[str, str] = BEARER) -> int:
    """The status with which no socket opens."""
    try:
        async with socket(server, path, headers=headers):
            return 101
    except aiohttp.WSServerHandshakeError as error:
        return error.status
