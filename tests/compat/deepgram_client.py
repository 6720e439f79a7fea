"""Deepgram's SDK, pointed at us (all four addresses are needed)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from deepgram import AsyncDeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.environment import DeepgramClientEnvironment

from tests.real_server import RealServer

__all__ = ["ApiError", "pointed"]


@asynccontextmanager
async def pointed(server: RealServer, **credential: str) -> AsyncIterator[AsyncDeepgramClient]:
    """`credential` is `api_key` or `access_token`."""
    where = DeepgramClientEnvironment(
        base=server.url, production=server.ws_url, agent=server.ws_url, agent_rest=server.url
    )
    async with httpx.AsyncClient(timeout=20) as http:
        yield AsyncDeepgramClient(environment=where, httpx_client=http, **credential)
