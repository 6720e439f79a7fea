"""Events as they happen, through broken lines and restarted servers, with nothing missing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx

from bridge.client._async.transport import AsyncTransport
from bridge.client.errors import CallbridgeError, RateLimitError, ServerError, TransportError
from bridge.client.policy import Retries
from bridge.client.sse import Reader

SETTLED: Final = 204
"""The server's answer to whoever comes back for more of a call that is all told."""


async def follow(transport: AsyncTransport, path: str, after: int) -> AsyncIterator[dict[str, Any]]:
    """One call's events behind `seq` `after`, to the last one there will be.

    Whenever the line breaks it is taken up behind the last event. Raises CallbridgeError when that has failed as often
    in a row as the client's `max_retries` allows.
    """
    reader, failed = Reader(last_id=str(after)), 0
    while True:
        reader.reconnected()
        brought = False
        try:
            async with transport.stream(path, {"Last-Event-ID": reader.last_id}) as answer:
                if answer.status_code == SETTLED:
                    return
                async for line in answer.aiter_lines():
                    event = reader.feed(line)
                    if event is not None:
                        failed, brought = 0, True
                        yield event
        except (httpx.HTTPError, ServerError, RateLimitError) as error:
            failed += 1
            await asyncio.sleep(_wait_s(transport.retries, path, error, failed))
        else:
            if not brought:  # else it has most likely been the last: the server says so at once
                await asyncio.sleep(reader.retry_s or transport.retries.delay_s)


async def watch(transport: AsyncTransport, path: str) -> AsyncIterator[dict[str, Any]]:
    """Events of all calls from now on. A line that breaks is taken up again; what happened in between is in each
    call's own events. Raises CallbridgeError as `follow` does.
    """
    reader, failed = Reader(last_id=""), 0
    while True:
        reader.reconnected()
        try:
            async with transport.stream(path, {}) as answer:
                failed = 0
                async for line in answer.aiter_lines():
                    event = reader.feed(line)
                    if event is not None:
                        yield event
        except (httpx.HTTPError, ServerError, RateLimitError) as error:
            failed += 1
            await asyncio.sleep(_wait_s(transport.retries, path, error, failed))
        else:
            await asyncio.sleep(reader.retry_s or transport.retries.delay_s)


def _wait_s(retries: Retries, path: str, error: httpx.HTTPError | CallbridgeError, failed: int) -> float:
    """Before the line is taken up again. Raises CallbridgeError when it has failed too often."""
    ours = error if isinstance(error, CallbridgeError) else None
    status, asked_s = (None, None) if ours is None else (ours.status_code, ours.retry_after)
    wait_s = retries.wait_s(failed, "GET", status=status, asked_s=asked_s)
    if wait_s is None:
        raise ours or TransportError(f"{path}: {type(error).__name__}: {error}") from error
    return wait_s
