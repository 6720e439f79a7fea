"""Events as they happen, through broken lines and restarted servers, with nothing missing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

import httpx

from bridge.client._sync.transport import Transport
from bridge.client.errors import RateLimitError, ServerError, TransportError
from bridge.client.sse import Reader

SETTLED: Final = 204
"""The server's answer to whoever comes back for more of a call that is all told."""


def follow(transport: Transport, path: str, after: int) -> Iterator[dict[str, Any]]:
    """One call's events behind `seq` `after`, to the last one there will be.

    Whenever the line breaks it is taken up behind the last event. Raises CallbridgeError when that has failed as often
    in a row as the client's `max_retries` allows.
    """
    reader, failed = Reader(last_id=str(after)), 0
    while True:
        reader.reconnected()
        asked_s: float | None = None
        try:
            with transport.stream(path, {"Last-Event-ID": reader.last_id}) as answer:
                if answer.status_code == SETTLED:
                    return
                for line in answer.iter_lines():
                    event = reader.feed(line)
                    if event is not None:
                        failed = 0
                        yield event
        except httpx.HTTPError as error:
            failed += 1
            if transport.retries.wait_s(failed, "GET", status=None) is None:
                raise TransportError(f"{path}: {type(error).__name__}: {error}") from error
        except (ServerError, RateLimitError) as error:
            failed += 1
            asked_s = error.retry_after
            if transport.retries.wait_s(failed, "GET", status=error.status_code) is None:
                raise
        wait_s = transport.retries.wait_s(failed, "GET", status=None, asked_s=asked_s) if failed else reader.retry_s
        time.sleep(wait_s or 0)


def watch(transport: Transport, path: str) -> Iterator[dict[str, Any]]:
    """Events of all calls from now on. A line that breaks is taken up again; what happened in between is in each
    call's own events. Raises CallbridgeError as `follow` does.
    """
    reader, failed = Reader(last_id=""), 0
    while True:
        reader.reconnected()
        try:
            with transport.stream(path, {}) as answer:
                failed = 0
                for line in answer.iter_lines():
                    event = reader.feed(line)
                    if event is not None:
                        yield event
        except httpx.HTTPError as error:
            failed += 1
            if transport.retries.wait_s(failed, "GET", status=None) is None:
                raise TransportError(f"{path}: {type(error).__name__}: {error}") from error
        except (ServerError, RateLimitError) as error:
            failed += 1
            if transport.retries.wait_s(failed, "GET", status=error.status_code) is None:
                raise
        time.sleep(transport.retries.wait_s(max(1, failed), "GET", status=None) or 0)
